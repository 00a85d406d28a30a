from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modellix_jupyter.errors import InvalidRequest, ModellixError
from modellix_jupyter.planning.cell_options import (
    COMMANDS,
    MAX_REPEAT,
    OPTIONS,
    help_text,
    option_named,
    typo_of,
)
from modellix_jupyter.planning.cell_parser import CellCommand, LineCommand, parse_cell, parse_line
from modellix_jupyter.values import Json

MODEL = "alibaba/qwen-image-plus"


def cell(options: str = "", body: str = "a cat", **variables: object) -> CellCommand:
    return parse_cell(f"{MODEL} {options}", body, variables)


def refusal(line: str, body: str = "a cat", **variables: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_cell(line, body, variables)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return str(caught.value)


def test_the_least_that_a_cell_says() -> None:
    assert parse_cell(MODEL, "a cat\n") == CellCommand(models=(MODEL,), prompts=("a cat",))


def test_everything_at_once() -> None:
    line = (
        "a/x --size 1024*1024 --seed=7 b/y --negative-prompt 'blurry, text' --param out=png "
        '--body \'{"deep": {"n": [1]}}\' --out pictures --no-wait --timeout 2.5 --repeat 3 '
        "--vary steps=10,20 --vary style='[\"a, b\", null]' --dry-run --yes --save 'my dir' "
        "--no-interpolate"
    )
    assert parse_cell(line, "a {cat}", {}) == CellCommand(
        models=("a/x", "b/y"),
        prompts=("a {cat}",),
        params={
            "deep": {"n": [1]},
            "size": "1024*1024",
            "seed": 7,
            "negative_prompt": "blurry, text",
            "out": "png",
        },
        vary={"steps": (10, 20), "style": ("a, b", None)},
        repeat=3,
        out="pictures",
        wait=False,
        timeout=2.5,
        dry_run=True,
        yes=True,
        save="my dir",
    )


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("--seed 7", "seed", 7),
        ("--seed=7", "seed", 7),
        ("--seed -1", "seed", -1),
        ("--seed=-1", "seed", -1),
        ("--enhance true", "enhance", True),
        ("--image null", "image", None),
        ("--style ''", "style", ""),
        ("--style=", "style", ""),
        ("--style a=b", "style", "a=b"),
        ("--style=a=b", "style", "a=b"),
        ("--style '\"7\"'", "style", "7"),
        ("--scale NaN", "scale", "NaN"),
        ("--style=--other", "style", "--other"),
        ("--style '--two words'", "style", "--two words"),
        ("--style ---", "style", "---"),
        ("--style -", "style", "-"),
        ("--output-format png", "output_format", "png"),
        ("--output_format png", "output_format", "png"),
        ("--size '[512, 512]'", "size", [512, 512]),
        ("--style '#red'", "style", "#red"),
        ("--style #red", "style", "#red"),
        ("--style '$HOME'", "style", "$HOME"),
        ('--style "a painter\'s"', "style", "a painter's"),
        ("--style 猫", "style", "猫"),
        ("--3d true", "3d", True),
        ("--param timeout=5", "timeout", 5),
        ("--param=timeout=5", "timeout", 5),
        ("--param no-wait=true", "no_wait", True),
        ("--param style=", "style", ""),
        ("--param repaet=1", "repaet", 1),
        ('--body \'{"negative-prompt": "x"}\'', "negative-prompt", "x"),
    ],
)
def test_parameters(options: str, name: str, value: Json) -> None:
    params = cell(options).params
    assert params == {name: value}
    assert type(params[name]) is type(value)


def test_options_before_and_between_models() -> None:
    command = parse_cell("--seed 7 a/x --yes b/y --n 2", "cat")
    assert command.models == ("a/x", "b/y")
    assert command.params == {"seed": 7, "n": 2}


@pytest.mark.parametrize("option", ["--no-wait", "--no_wait"])
def test_an_underscore_in_an_option_is_a_dash(option: str) -> None:
    assert cell(option) == cell("--no-wait")
    assert not cell(option).wait


def test_variables_are_put_in_after_the_splitting() -> None:
    tricky = """it's "two" --words --no-wait"""
    command = cell(
        "--style {style} --seed {seed} --vary n={ns} --repeat {times} --out {name} --{name} 1",
        "{style}\n---\n{prompt}",
        style=tricky,
        seed=7,
        ns=[1, "2"],
        times=2,
        name="target",
        prompt="one\n---\nand {style}",
    )
    assert command.params == {"style": tricky, "seed": 7, "target": 1}
    assert command.vary == {"n": (1, "2")}
    assert (command.repeat, command.out, command.wait) == (2, "target", True)
    assert command.prompts == (tricky, "one\n---\nand {style}")


def test_a_model_and_an_axis_may_be_variables() -> None:
    command = parse_cell("{model} --vary {axis}={values}", "cat", LATER)
    assert command.models == ("b/y",)
    assert command.vary == {"seed": (1, 2)}


LATER: dict[str, object] = {"model": "b/y", "axis": "seed", "values": [1, 2]}


@pytest.mark.parametrize("options", ["--no-interpolate", "--seed {x} --no-interpolate"])
def test_no_interpolate_holds_for_the_whole_line(options: str) -> None:
    command = cell(options, "{x}", x=1)
    assert command.prompts == ("{x}",)
    assert command.params.get("seed", "{x}") == "{x}"


def test_without_variables_braces_stay() -> None:
    assert parse_cell("a/x --style {x}", "{x}").params == {"style": "{x}"}


@pytest.mark.parametrize(
    ("body", "prompts"),
    [
        ("a cat", ("a cat",)),
        ("\n\n  a cat  \n\n", ("a cat",)),
        ("a cat\n    indented\n\nend", ("a cat\n    indented\n\nend",)),
        ("a cat\n---\na dog\n", ("a cat", "a dog")),
        ("a cat\n  ---\t\na dog", ("a cat", "a dog")),
        ("a cat\r\n---\r\na dog\r\n", ("a cat", "a dog")),
        ("a\n---\nb\n---\nc", ("a", "b", "c")),
        ("a\n----\nb", ("a\n----\nb",)),
        ("a\n--- b\nc --- d\n--", ("a\n--- b\nc --- d\n--",)),
        ("a --- b", ("a --- b",)),
        ("a --size 512\n--yes", ("a --size 512\n--yes",)),
        ("--> a cat", ("--> a cat",)),
        ("-- a cat", ("-- a cat",)),
        ('{"a": {"b": []}}', ('{"a": {"b": []}}',)),
        ("猫 \u2028 {} é\ttab", ("猫 \u2028 {} é\ttab",)),
    ],
)
def test_prompts(body: str, prompts: tuple[str, ...]) -> None:
    assert parse_cell(MODEL, body, {}).prompts == prompts


@pytest.mark.parametrize("body", ["", " \n\t\n"])
def test_a_body_makes_the_prompt_needless(body: str) -> None:
    assert parse_cell(f"{MODEL} --body {{}}", body).prompts == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", ["no prompt"]),
        (" \n ", ["no prompt"]),
        ("a\n---\n", ["Prompt 2 of 2", "empty"]),
        ("---\na", ["Prompt 1 of 2", "empty"]),
        ("a\n---\n---\nb", ["Prompt 2 of 3", "empty"]),
        ("---", ["Prompt 1 of 2", "empty"]),
        ("{blank}", ["The prompt", "empty"]),
        ("a\n---\n{blank}", ["Prompt 2 of 2", "empty"]),
        ("a\n---\n{animl}", ["{animl}", "prompt 2 of 2", "`animal`", "--no-interpolate"]),
        ("a cat\n\n%%modellix a/x --seed 1\na dog", ["`%%modellix`", "several cells"]),
        ("a cat\r\n%%modellix\r\na dog", ["`%%modellix`", "several cells"]),
        ("a cat\n  %%modellix a/x\na dog", ["`%%modellix`", "several cells"]),
        ("--size 512x512\na cat", ["`--size`", "first line", "a word before it"]),
        ("\n \n  --yes", ["`--yes`", "first line"]),
        ("--negative-prompt=blurry\n---\na cat", ["`--negative-prompt`", "first line"]),
    ],
)
def test_prompts_that_are_refused(body: str, words: list[str]) -> None:
    message = refusal(MODEL, body, blank=" ", animal="cat")
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["no model", MODEL]),
        ("--seed 7", ["no model"]),
        ("qwen", ["`qwen`", MODEL]),
        ("a/x/y", ["`a/x/y`"]),
        ("a/x a cat", ["`a`", "below"]),
        ("a/x --negative-prompt blurry, text", ["`text`", "quotes"]),
        ("a/x -n 3", ["`-n`", "two plain dashes"]),
        ("a/x \u2014seed 7", ["`\u2014seed`", "two plain dashes"]),
        ("a/x --", ["`--`"]),
        ("a/x --=7", ["`--=7`"]),
        ("a/x 'open", ["quote that never ends"]),
        ("a/x --style it's", ["quote that never ends", "double quotes"]),
        ("a/x \\", ["backslash"]),
        ("a/x --enhance", ["`--enhance`", "no value", "--enhance true"]),
        ("a/x --enhance --seed 7", ["`--enhance`", "no value", "--enhance true"]),
        ("a/x --dry", ["`--dry`", "no value", "`--dry-run`"]),
        ("a/x --wait", ["`--wait`", "no value", "`--no-wait`"]),
        ("a/x --repeat", ["`--repeat`", "no value", "--repeat N"]),
        ("a/x --out --yes", ["`--out`", "no value", "--out VAR"]),
        ("a/x --yes=true", ["`--yes`", "no value"]),
        ("a/x --no-wait true", ["`true`"]),
        ("a/x --yes --yes", ["`--yes`", "twice"]),
        ("a/x --out a --out b", ["`--out`", "twice"]),
        ("a/x --seed 1 --seed 2", ["`seed`", "twice", "--vary"]),
        ("a/x --negative-prompt a --negative_prompt b", ["`negative_prompt`", "twice"]),
        ("a/x --seed 1 --param seed=1", ["`seed`", "twice"]),
        ("a/x --seed 1 --vary seed=1,2", ["`seed`", "twice"]),
        ("a/x --vary seed=1,2 --vary seed=3", ["`seed`", "twice"]),
        ("a/x --body '{\"seed\": 1}' --seed 2", ["`seed`", "twice"]),
        ("a/x --body '{\"seed\": 1}' --vary seed=2,3", ["`seed`", "twice"]),
        ("a/x --prompt cat", ["prompt", "text of the cell"]),
        ("a/x --param prompt=cat", ["prompt", "text of the cell"]),
        ("a/x --vary prompt=cat,dog", ["prompt", "three dashes"]),
        ("a/x --body '{\"prompt\": 1}'", ["prompt", "text of the cell"]),
        ("a/x --body [1]", ["`--body`", "not an object"]),
        ("a/x --body {a:1}", ["`--body`", "not JSON"]),
        ("a/x --param seed", ["`--param seed`", "equals sign"]),
        ("a/x --param =7", ["name of a parameter"]),
        ("a/x --vary seed", ["`--vary seed`", "equals sign"]),
        ("a/x --vary seed=", ["`--vary seed`", "no values"]),
        ("a/x --vary seed=[]", ["`--vary seed`", "no values"]),
        ("a/x --größe 5", ["größe", "name of a parameter"]),
        ("a/x --seed {sede}", ["{sede}", "`--seed`", "--no-interpolate"]),
        ("{modle}", ["{modle}", "the models"]),
        ("a/x --save ''", ["`--save`", "no folder"]),
        ("a/x --save {folder}", ["{folder}", "`--save`"]),
    ],
)
def test_lines_that_are_refused(line: str, words: list[str]) -> None:
    message = refusal(line)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "x", "''", "true", "\u0663", str(MAX_REPEAT + 1), "9" * 5000]
)
def test_repeats_that_are_refused(value: str) -> None:
    assert "1 to 1,000" in refusal(f"{MODEL} --repeat {value}")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e999", "30s", "''", "9" * 5000])
def test_timeouts_that_are_refused(value: str) -> None:
    assert "seconds above 0" in refusal(f"{MODEL} --timeout {value}")


@pytest.mark.parametrize(
    ("value", "seconds"), [("30", 30.0), ("0.5", 0.5), (".5", 0.5), ("1e3", 1000.0)]
)
def test_timeouts(value: str, seconds: float) -> None:
    assert cell(f"--timeout {value}").timeout == seconds


@pytest.mark.parametrize("value", ["7a", "a.b", "a b", "class", "None", "''", "a-b"])
def test_variables_that_are_refused(value: str) -> None:
    assert "name of a variable" in refusal(
        f"{MODEL} --out '{value}'" if value != "''" else "a/b --out ''"
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [("x", "x"), ("_", "_"), ("été", "été"), ("e\u0301", "é"), ("match", "match")],
)
def test_variables(value: str, name: str) -> None:
    assert cell(f"--out {value}").out == name


TYPOS = {
    "repaet": "repeat",
    "repeats": "repeat",
    "Repeat": "repeat",
    "timout": "timeout",
    "time-out": "timeout",
    "no-wai": "no-wait",
    "nowait": "no-wait",
    "params": "param",
    "parma": "param",
    "dryrun": "dry-run",
    "dry_rum": "dry-run",
    "svae": "save",
    "saves": "save",
    "vray": "vary",
    "bdoy": "body",
    "yse": "yes",
    "outt": "out",
    "no-interpolat": "no-interpolate",
    "hlep": "help",
}


def test_a_typing_error_is_refused_with_both_ways_out() -> None:
    for typo, meant in TYPOS.items():
        for line in (f"{MODEL} --{typo} 3", f"{MODEL} --{typo}=3", f"{MODEL} --{typo}"):
            message = refusal(line)
            assert f"`--{meant}" in message
            assert f"--param {typo.replace('-', '_')}=VALUE" in message


# What image, video and speech models of several services call their parameters.
PARAMETERS = """
    aspect_ratio audio audio_url background background_color batch_size bitrate bpm brightness
    camera_control camera_fixed cfg cfg_scale channels clip_skip color colors contrast control
    controlnet creativity crop denoise denoising_strength depth dimensions duration dynamic edge
    emotion enable_safety_checker end_image enhance enhance_prompt expand face fidelity file fill
    first_frame_image format fps frame_rate frames function gender generate_audio guidance
    guidance_scale height hd hdr image image_count image_size image_strength image_url images
    inference_steps init_image input input_fidelity instructions interpolation_factor keep
    language last_frame_image layout length lighting logprobs loop lora loras lyrics mask mask_url
    max_images max_tokens mode model model_version moderation mood motion motion_strength
    multi_shot music n negative negative_prompt noise num_frames num_images num_inference_steps
    number_of_images orientation output output_compression output_format output_quality
    output_type pad parameters partial_images pattern person_generation pitch pixels pose preset
    priority private prompt_extend prompt_optimizer prompt_upsampling provider public quality
    ratio raw raw_mode reference reference_image references refine region remix remove_background
    render repaint repetition_penalty resolution response_format return_last_frame rotate sample
    sample_rate sampler sampling safe safety safety_checker safety_filter_level safety_tolerance
    scale scheduler scene seed sequential shift size sound source speaker speed start_image
    steps stream strength structure style style_id style_preset style_strength stylize subject
    subtitle temperature template text texture thinking tile tiling time tone top_k top_p
    transparent trim turbo type upscale upscale_factor user vae variant variation variations
    varied very version video video_url vocals voice voice_id volume wait_time watermark weight
    weights width word_timestamps yaw year zoom noise_level no_watermark no_text bold border
    heal outline outpaint outro object opacity bodypart boost path part paragraph partial
""".split()  # noqa: SIM905 - two hundred names in a list would be as many lines


def test_a_likely_parameter_is_no_typing_error() -> None:
    line = " ".join(f"--{name.replace('_', '-')} 3" for name in PARAMETERS)
    assert cell(line).params == dict.fromkeys(PARAMETERS, 3)


@pytest.mark.parametrize(
    ("line", "name", "arguments"),
    [
        ("", "help", ()),
        ("  ", "help", ()),
        ("help", "help", ()),
        ("--help", "help", ()),
        ("models", "models", ()),
        ("models qwen", "models", ("qwen",)),
        ("models text to image", "models", ("text to image",)),
        ("models 'text to image'", "models", ("text to image",)),
        ("wait", "wait", ()),
        ("wait task-1 task-2", "wait", ("task-1", "task-2")),
        ("export 'my file.csv'", "export", ("my file.csv",)),
        ("balance", "balance", ()),
    ],
)
def test_commands(line: str, name: str, arguments: tuple[str, ...]) -> None:
    assert parse_line(line) == LineCommand(name, arguments)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("modles", ["`modles`", "`models`", "help"]),
        ("zzz", ["`zzz`", "help"]),
        ("alibaba/qwen-image-plus", ["%%modellix"]),
        ("export", ["export", "PATH", "nothing"]),
        ("export a.csv b.csv", ["export", "PATH", "`a.csv b.csv`"]),
        ("doctor 5", ["doctor", "nothing", "`5`"]),
        ("help me", ["help", "nothing", "`me`"]),
        ("export 'open", ["quote that never ends"]),
        ("stop --yes", ["`--yes`", "no options", "asks nothing", "`%modellix stop`"]),
        ("wait task-1 -a", ["`-a`", "no options", "`%modellix wait`"]),
    ],
)
def test_commands_that_are_refused(line: str, words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_line(line)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_help_reads_nothing_else() -> None:
    assert parse_cell("--help", "") == CellCommand(help=True)
    assert parse_cell("a/x --repeat --help {x", "{y}", {}) == CellCommand(help=True)


def test_the_tables_are_the_contract() -> None:
    assert {option.name for option in OPTIONS} == {
        *("param", "body", "out", "no-wait", "timeout", "repeat", "vary", "dry-run", "yes"),
        *("save", "no-interpolate", "help", "max-usd", "fresh", "reuse"),
    }
    assert [option.name for option in OPTIONS if option.repeatable] == ["param", "vary"]
    assert [command.usage for command in COMMANDS] == [
        *(
            "help",
            "key",
            "doctor",
            "models [TEXT]",
            "describe MODEL",
            "history [--all]",
            "wait [TASK_ID ...]",
        ),
        *(
            "resume [send | take-over | NAME=TASK_ID ...]",
            "budget [X/day | X/month | X | off]",
            "stop [TASK_ID ...]",
            "panel",
            "export PATH",
            "balance",
            "sandbox",
        ),
    ]


def test_the_help_names_everything_and_fits() -> None:
    text = help_text()
    assert all(option.usage in text for option in OPTIONS)
    assert all(f"%modellix {command.usage}" in text for command in COMMANDS)
    assert max(map(len, text.splitlines())) <= 100


def test_every_example_of_the_help_can_be_read() -> None:
    examples = help_text().partition("Examples\n")[2].partition("Commands")[0].split("%%modellix ")
    pairs = [example.partition("\n") for example in examples[1:]]
    found = [parse_cell(line, body, {"animal": "cat"}) for line, _, body in pairs]
    assert len(found) == 3
    assert found[1].prompts == ("a cat on a bicycle", "a cat in a boat")


@pytest.mark.parametrize("option", [o.name for o in OPTIONS])
def test_an_option_is_itself_and_no_typo_of_another(option: str) -> None:
    assert option_named(option) is option_named(option.replace("-", "_"))
    assert typo_of(option) is option_named(option)


def is_text(value: str) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return True
    return False


@given(st.text().filter(is_text), st.text())
@example('it\'s "both" \\ {x}\n#', "a")
def test_a_quoted_value_comes_back_exact(value: str, body: str) -> None:
    quoted = shlex.quote(value)
    line = f"{MODEL} --style={quoted} --param out={quoted} --save={shlex.quote('./' + value)}"
    command = parse_cell(line, f"a {body.replace('---', '--')}")
    assert command.params == {"style": value, "out": value}
    assert command.save == f"./{value}"


@given(st.text())
def test_a_text_in_json_quotes_comes_back_exact(value: str) -> None:
    command = cell(f"--style {shlex.quote(json.dumps(value))} --no-interpolate")
    assert command.params == {"style": value}


@given(st.text())
def test_a_variable_comes_back_exact(value: str) -> None:
    command = cell("--style {v} --vary other={v},{v}", "[{v}]", v=value)
    assert command.params == {"style": value}
    assert command.vary == {"other": (value, value)}
    assert command.prompts == (f"[{value}]",)


OPTION_WORDS = [option.usage for option in OPTIONS] + [f"--{option.name}" for option in OPTIONS]
WORDS = st.sampled_from(
    [*OPTION_WORDS, "a/x", "--seed", "=", "{v}", "{w}", "'", '"', "1,2", "seed=1,2", "[1]", "---"]
)
LINES = st.text() | st.lists(WORDS | st.text(max_size=3)).map(" ".join)


@given(LINES, st.text() | st.just("a\n---\n{v}"), st.none() | st.just({"v": 7}))
def test_any_cell_is_a_command_or_an_error_of_ours(line: str, body: str, variables: Any) -> None:
    try:
        command = parse_cell(line, body, variables)
    except ModellixError as problem:
        assert problem.hint  # noqa: PT017 - either outcome is right, and this is the error's
        return
    assert command.help or command.models
    assert all(map(str.strip, command.prompts))
    assert not set(command.params) & set(command.vary)


@given(LINES)
def test_any_line_is_a_command_or_an_error_of_ours(line: str) -> None:
    try:
        command = parse_line(line)
    except ModellixError as problem:
        assert problem.hint  # noqa: PT017 - either outcome is right, and this is the error's
        return
    assert command.name in {known.name for known in COMMANDS}
