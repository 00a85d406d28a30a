from __future__ import annotations

import re

import pytest
from render_samples import NOW, PIXEL, Parsed, done, picture, resource, task, us

from modellix_jupyter.html.cards import GAP_PX, WIDE_PX, cards_html, cards_text
from modellix_jupyter.html.elements import AMBER, BLUE, GREEN, GREY, RED
from modellix_jupyter.values import Activity, Card, Media, Request, Status


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [GREEN, RED, BLUE, AMBER, GREY])
@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_every_colour_can_be_seen_on_light_and_dark_pages(colour: str, page: str) -> None:
    low, high = sorted([luminance(colour), luminance(page)])
    assert (high + 0.05) / (low + 0.05) >= 3


def test_no_text_has_a_colour_of_its_own() -> None:
    markup = cards_html([done(), done(), Card(task=task(Status.FAILED))], NOW)
    assert set(re.findall(r"(?<![-\w])color:([^;\"]+)", markup)) <= {"inherit"}


def test_a_pending_task_shows_its_state_its_bar_and_its_id() -> None:
    parsed = Parsed(cards_html([Card(task=task(Status.PENDING), usual_s=40)], NOW))
    for words in ("alibaba/qwen-image-plus", "pending", "20 s (usually 40 s)", "a cat"):
        assert words in parsed.text
    assert parsed.text.count("pending") == 1  # in the frame, and not below it again
    assert parsed.all("figure")[0]["title"] == "task-1"
    (bar,) = parsed.bars()
    assert bar["aria-valuenow"] == "45"


@pytest.mark.parametrize("usual", [0.001, 1, 20, 19.99])
def test_a_bar_is_never_full_before_the_end(usual: float) -> None:
    (bar,) = Parsed(cards_html([Card(task=task(Status.PROCESSING), usual_s=usual)], NOW)).bars()
    assert 80 < int(str(bar["aria-valuenow"])) < 100


@pytest.mark.parametrize("usual", [None, float("nan"), float("inf"), 0.0, -3.0])
def test_a_bar_without_a_usual_time_claims_no_value(usual: float | None) -> None:
    card = Card(task=task(Status.PROCESSING), usual_s=usual)
    first, later = (Parsed(cards_html([card], NOW + t)) for t in (0, 1))
    assert "aria-valuenow" not in first.bars()[0]
    assert "usually" not in first.text
    assert first.elements != later.elements  # it moves


def test_a_task_that_is_not_sent_yet_has_not_begun() -> None:
    (bar,) = Parsed(cards_html([Card(task=task(Status.SUBMITTING), usual_s=20)], NOW)).bars()
    assert bar["aria-valuenow"] == "0"


def test_what_is_waited_for_is_said_with_its_countdown() -> None:
    activity = Activity(what="rate limited", until=NOW + 11.2, attempt=2, of=4)
    shown = cards_html([Card(task=task(Status.SUBMITTING), activity=activity)], NOW)
    assert "submitting · rate limited, goes on in 12 s, attempt 2 of 4" in shown


def test_a_finished_task_is_its_picture_its_prompt_and_one_line() -> None:
    parsed = Parsed(cards_html([done()], NOW))
    line = "alibaba/qwen-image-plus · seed 7 · 12.4 s · 1024×768 · $0.04"  # noqa: RUF001 -- the sign, not an x
    assert parsed.text == f"a cat{line}/data/1.png"
    names = [tag for tag, _ in parsed.elements]
    assert names.index("img") < names.index("figcaption")
    assert parsed.all("figure")[0]["title"] == "task-1"
    assert parsed.bars() == []
    (image,) = parsed.all("img")
    assert (image["src"], image["alt"]) == (PIXEL, "a cat")
    assert (image["width"], image["height"]) == ("512", "384")
    # the service's address ends in a day
    assert parsed.all("a") == []


@pytest.mark.parametrize(
    ("file", "links"),
    [
        ("files/a b.png", ["files/a%20b.png"]),
        (None, []),
        ("../x.png", []),
        ("/etc/passwd", []),
        ("javascript:x", []),
    ],
)
def test_a_picture_links_the_file_below_the_notebook_and_nothing_else(
    file: str | None, links: list[str]
) -> None:
    card = Card(task=task(resources=(resource(),)), media=(picture(file=file),))
    parsed = Parsed(cards_html([card], NOW))
    assert [link["href"] for link in parsed.all("a")] == links
    assert len(parsed.all("img")) == 1


def test_every_picture_says_by_which_key_the_viewer_finds_it() -> None:
    resources = (resource(), resource(path=None), resource(path="/data/3.png"))
    card = Card(
        task=task(resources=resources),
        activity=Activity(what="downloading"),
        media=(picture(), picture(path="/data/3.png")),
    )
    divs = Parsed(cards_html([card], NOW)).all("div")
    assert [div["data-mx"] for div in divs if "data-mx" in div] == ["u1/0", "u1/2"]
    assert sum("data-mx-group" in div for div in divs) == 1


def test_what_waits_has_the_shape_that_it_will_have() -> None:
    shapes = {
        (("size", "1024*768"),): "1024/768",
        (("aspect_ratio", "9:16"),): "9/16",
        (("aspectRatio", "16:9"),): "16/9",
        (("width", 640), ("height", 480)): "640/480",
        (("size", "2K"), ("ratio", "4:3")): "4/3",
        (("size", "9999x1"),): "1/1",
        (("size", "0x0"),): "1/1",
        (("size", "2*0"),): "1/1",
        (("width", 4), ("height", 0)): "1/1",
        (("ratio", "3:0.4"),): "1/1",
        (): "1/1",
    }
    for params, shape in shapes.items():
        request = Request("a/x", "a cat", dict(params))  # type: ignore[arg-type]  # as a user writes them
        markup = cards_html([Card(task=task(Status.PENDING, request=request))], NOW)
        assert f"aspect-ratio:{shape};" in markup, params


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.FAILED, ["failed", "Too dark", "Change the prompt"]),
        (Status.REJECTED, ["rejected", "400: too dark", "nothing was charged"]),
        (Status.EXPIRED, ["expired", "Too dark", "resume"]),
        (Status.UNKNOWN, ["unknown", "May have been accepted and charged: too dark", "resume"]),
    ],
)
def test_a_problem_has_its_reason_and_what_to_do(status: Status, words: list[str]) -> None:
    code = 400 if status is Status.REJECTED else None
    card = Card(task=task(status, error_message="too dark", error_code=code))
    text = Parsed(cards_html([card], NOW)).text
    for word in words:
        assert word in text
    assert text.count("alibaba/qwen-image-plus") == 1


def test_the_same_reason_is_given_once_for_all_that_it_stopped() -> None:
    cards = [
        Card(task=task(Status.FAILED, task_id=f"t-{i}", error_message="overloaded"))
        for i in range(30)
    ]
    text = Parsed(cards_html(cards, NOW)).text
    assert text.count("Overloaded") == 1
    assert "alibaba/qwen-image-plus30 failed" in text  # they are all of one model
    assert "and 27 more" in text


def test_a_batch_has_captions_that_tell_its_pictures_apart() -> None:
    cards = [
        done(request=Request("a/x", "a cat", {"seed": 1, "size": "S", "style": "ink"})),
        done(request=Request("b/y", "a dog", {"seed": 2, "size": "S", "style": "oil"})),
    ]
    parsed = Parsed(cards_html(cards, NOW))
    assert "2 of 2 done" in parsed.text
    assert "$0.08" in parsed.text
    assert "2 models2 promptsseed: 1, 2style: ink, oil" in parsed.text
    assert "a catxseed 1style ink12.4 s · $0.04" in parsed.text
    assert "a dogyseed 2style oil12.4 s · $0.04" in parsed.text
    assert "size" not in parsed.text  # the same in both
    assert [image["alt"] for image in parsed.all("img")] == ["a cat", "a dog"]


def test_five_hundred_tasks_stay_small_and_readable() -> None:
    cards = [done()] * 12
    cards += [Card(task=task(Status.FAILED, error_message="overloaded"))] * 3
    cards += [Card(task=task(Status.PROCESSING), usual_s=40)] * 5
    cards += [Card(task=task(Status.PENDING), usual_s=40)] * 480
    markup = cards_html(cards, NOW)
    parsed = Parsed(markup)
    assert "12 of 500 done, 3 failed, 5 running, 480 pending" in parsed.text
    assert "and 473 more that are not drawn here" in parsed.text
    assert parsed.bars()[0]["aria-valuenow"] == "3"
    assert len(parsed.bars()) == 1 + 12
    assert len(markup) < 40_000


def test_pictures_are_limited_by_number_and_by_weight() -> None:
    cards = [done()] * 500
    parsed = Parsed(cards_html(cards, NOW))
    assert len(parsed.all("img")) == 24
    assert "and 476 more" in parsed.text
    heavy = picture(src="data:image/png;base64," + "A" * 2_000_000)
    cards = [Card(task=task(resources=(resource(),)), media=(heavy,))] * 8
    assert len(cards_html(cards, NOW)) <= 2_000_000


@pytest.mark.parametrize("budget", [16_000, 60_000, 2_000_000])
def test_a_gallery_stays_within_its_budget(budget: int) -> None:
    small = picture(src="data:image/jpeg;base64," + "A" * 20_000)
    film = Media(kind="video", src="data:video/mp4;base64," + "A" * 1_500_000, path="/data/v.mp4")
    items = [small, film, small, film, *[small] * 8]
    cards = [Card(task=task(resources=(resource(),)), media=(item,)) for item in items]
    markup = cards_html(cards, NOW, budget=budget)
    assert len(markup) <= budget
    assert markup.count(str(small.src)) == min((budget - 14_400) // 20_000, 10)
    assert "/data/v.mp4" in markup


def test_the_only_one_is_shown_whatever_it_weighs() -> None:
    heavy = picture(src="data:image/png;base64," + "A" * 100_000)
    card = Card(task=task(resources=(resource(),)), media=(heavy,))
    assert str(heavy.src) in cards_html([card], NOW, budget=16_000)


def test_a_stopped_wait_says_so_and_nothing_moves() -> None:
    card = Card(task=task(Status.PROCESSING))
    parsed = Parsed(cards_html([card], NOW, stopped="Interrupted: `%modellix wait` goes on."))
    assert parsed.bars() == []
    assert "processing" in parsed.text
    assert "Interrupted: %modellix wait goes on." in parsed.text
    assert len(parsed.all("code")) == 1


@pytest.mark.parametrize(
    ("count", "models", "across"),
    [(4, 2, 4), (6, 3, 3), (6, 1, 3), (8, 1, 4), (12, 3, 3), (7, 1, 7)],
)
def test_the_pictures_of_a_run_stand_in_full_lines(count: int, models: int, across: int) -> None:
    cards = [done(request=Request(f"a/{i % models}", "a cat", {})) for i in range(count)]
    widest = across * (WIDE_PX + GAP_PX)
    markup = cards_html(cards, NOW)
    assert f"max-width:{widest}px" in markup
    assert f"{100 / across:.4g}% - {GAP_PX}px" in markup


def test_what_has_no_file_is_as_large_as_what_has_one() -> None:
    lacking = resource(path=None, problem="gone", lost=True)
    markup = cards_html([Card(task=task(resources=(lacking, resource())))], NOW)
    assert "aspect-ratio:1024/768" in markup


def test_files_on_their_way_keep_the_card_open() -> None:
    waiting = task(resources=(resource(), resource(path=None)))
    card = Card(task=waiting, activity=Activity(what="downloading"), media=(picture(),))
    parsed = Parsed(cards_html([card], NOW))
    assert "done, saving · downloading" in parsed.text
    assert len(parsed.all("img")) == 1


def test_files_that_nobody_fetches_are_told_of() -> None:
    lacking = resource(path=None, problem="the server closed the connection.")
    text = Parsed(cards_html([Card(task=task(resources=(lacking,)))], NOW)).text
    assert "1 file is not on this disk: the server closed the connection." in text
    assert "%modellix resume" in text


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_videos_and_sounds_have_controls(kind: str) -> None:
    media = Media(kind=kind, src=f"data:{kind}/mp4;base64,AAAA")
    parsed = Parsed(cards_html([Card(task=task(resources=(resource(),)), media=(media,))], NOW))
    (player,) = parsed.all(kind)
    assert player["preload"] == "metadata"
    assert "controls" in player


def test_a_large_video_is_a_tile_with_its_size_and_path() -> None:
    media = Media(kind="video", url="https://x.com/v.mp4", path="/data/v.mp4", size=18_400_000)
    parsed = Parsed(cards_html([Card(task=task(resources=(resource(),)), media=(media,))], NOW))
    assert parsed.all("a") == []
    assert [d["data-mx"] for d in parsed.all("div") if "data-mx" in d] == ["u1/0"]
    assert "18.4 MB" in parsed.text
    assert parsed.text.count("/data/v.mp4") == 1


def test_nothing_depends_on_what_an_untrusted_notebook_strips() -> None:
    cards = [done(), Card(task=task(Status.PENDING)), Card(task=task(Status.FAILED))]
    parsed = Parsed(cards_html(cards, NOW))
    assert not {"style", "script", "svg"} & {tag for tag, _ in parsed.elements}
    assert not any({"class", "id"} & set(attributes) for _, attributes in parsed.elements)


def test_both_forms_tell_the_same_state() -> None:
    cards = [Card(task=task(Status.PENDING, submitted_at=us(-3)))]
    for form in (cards_html, cards_text):
        shown = form(cards, NOW, stopped="Enough.")
        assert "pending" in shown
        assert "3 s" in shown
        assert "Enough." in shown


def test_no_tasks_are_no_error() -> None:
    assert Parsed(cards_html([], NOW)).text == "no tasks"
