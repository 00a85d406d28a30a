"""Every model of the sandbox's catalog: from a cell, from Python, and what is found beforehand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from magic_shell import Shell, a_loaded_shell
from PIL import Image
from session_rig import QUICK

import modellix_jupyter as mx
from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.notebook import current_session
from modellix_jupyter.planning.cell_parser import parse_cell
from modellix_jupyter.planning.inputs import slots_of
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.planning.schema import Parameter, example_cell
from modellix_jupyter.sandbox_server import Sandbox
from modellix_jupyter.sandbox_server.catalog import MODELS
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from modellix_jupyter.results.results import Results

SLUGS = [slug for slug in MODELS if not slug.startswith("sandbox/")]


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    with Sandbox(speed=1000) as running:
        yield running


@pytest.fixture
def shell(service: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """Return an IPython with a picture to begin from."""
    with a_loaded_shell(tmp_path, service, monkeypatch) as shell:
        monkeypatch.setattr(current_session, "pace", QUICK)
        Image.linear_gradient("L").save("picture.png")
        yield shell


def results_for(shell: Shell, line: str) -> dict[str, Any]:
    """Make what a line takes that can be no file: a film goes by its address."""
    if "film.mp4" in line:
        shell.good("%%modellix alibaba/wan-2.5-t2v --out film\nthe sea")
    if "sound.mp3" in line:
        shell.good("%%modellix minimax/speech-2.6 --out sound\nla la la")
    names = shell.ip.user_ns
    return {"film.mp4": names.get("film"), "sound.mp3": names.get("sound")}


def example(slug: str) -> tuple[str, str]:
    """Return the line and the text of the cell that `describe` gives for a model."""
    schema = current_session.current().schema(slug)
    assert schema is not None
    line, _, text = example_cell(slug, schema).partition("\n")
    return line, text


def whole(results: Results) -> bool:
    (task,) = results
    return task.status is Status.SUCCESS and all(r.path for r in task.resources)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_cell_calls_it(shell: Shell, slug: str) -> None:
    line, text = example(slug)
    results_for(shell, line)
    line = line.replace("film.mp4", "{film}").replace("sound.mp3", "{sound}")
    shell.good(f"{line} --out made\n{text}")
    assert whole(shell.ip.user_ns["made"])


def test_a_length_that_the_model_takes_as_a_text_is_written_as_a_number(shell: Shell) -> None:
    shell.good("%%modellix google/veo-3-fast --durationSeconds 4 --out made\nthe sea")
    (task,) = shell.ip.user_ns["made"]
    assert task.request.params["durationSeconds"] == "4"
    assert task.price == pytest.approx(4 * 0.15)
    assert task.status is Status.SUCCESS


@pytest.mark.parametrize("slug", SLUGS)
def test_python_calls_it(shell: Shell, slug: str) -> None:
    line, text = example(slug)
    media = {"picture.png": Path("picture.png"), **results_for(shell, line)}
    command = parse_cell(line.removeprefix("%%modellix "), text)
    given: dict[str, Any] = {
        name: media.get(value, value) if isinstance(value, str) else value
        for name, value in command.params.items()
    }
    (prompt,) = command.prompts or (None,)
    assert whole(mx.generate(prompt, slug, **given))


def wrong_value(parameter: Parameter, *, media: bool) -> Any:
    """Return a value that a parameter does not take, or None where every value is taken."""
    if media:
        return "nowhere.png"
    if parameter.enum:
        return "no such choice"
    if parameter.type == "string":
        return "x" * (parameter.max_length + 1) if parameter.max_length else 7
    if parameter.maximum is not None:
        return parameter.maximum + 1
    return "no such value"


@pytest.mark.parametrize("slug", SLUGS)
def test_its_mistakes_are_found_before_anything_is_sent(
    shell: Shell, service: Sandbox, slug: str
) -> None:
    session = current_session.current()
    schema = session.schema(slug)
    assert schema is not None
    line, text = example(slug)
    line = line.replace("film.mp4", "https://a.test/f").replace("sound.mp3", "https://a.test/s")
    command = parse_cell(line.removeprefix("%%modellix "), text)
    (prompt,), right = command.prompts or (None,), dict(command.params)
    slots = slots_of(schema)
    posts = sum(entry.method == "POST" for entry in service.journal)

    def refused(words: str, prompt: str | None = prompt, **changes: Any) -> None:
        params = {k: v for k, v in {**right, **changes}.items() if v is not None}
        with pytest.raises(InvalidRequest) as caught:
            session.submit(make_plan([prompt], [slug], params=params))
        assert words in str(caught.value)
        assert str(caught.value).count("\n") == 1

    refused("takes no `sparkles`", sparkles=1)
    for name in right:
        refused(f"needs `{name}`", **{name: None})
    for name, parameter in schema.parameters.items():
        wrong = wrong_value(parameter, media=name in slots)
        if name == schema.prompt_parameter:
            refused(f"`{name}`", prompt=wrong)
            if parameter.required:
                refused(f"needs `{name}`", prompt=None)
        else:
            refused(f"`{name}`", **{name: wrong})
    if schema.prompt_parameter is None:
        refused("takes no prompt", prompt="a cat")
    ran = shell.run(f"{line} --sparkles {shlex.quote('1')}\n{text}")
    assert "takes no `sparkles`" in ran.lines[0]
    assert sum(entry.method == "POST" for entry in service.journal) == posts
