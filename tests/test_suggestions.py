from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import did_you_mean, suggest

SLUGS = ["alibaba/qwen-image-plus", "openai/gpt-image-2", "google/nano-banana-2"]
PARAMETERS = ["prompt", "size", "seed", "negative_prompt", "image_size"]


@pytest.mark.parametrize(
    ("word", "known", "first"),
    [
        ("sede", PARAMETERS, "seed"),
        ("SEED", PARAMETERS, "seed"),
        ("negativ_prompt", PARAMETERS, "negative_prompt"),
        ("negative", PARAMETERS, "negative_prompt"),
        ("alibaba/qwen-image-pls", SLUGS, "alibaba/qwen-image-plus"),
        ("qwen-image-plus", SLUGS, "alibaba/qwen-image-plus"),
        ("google/gpt-image-2", SLUGS, "openai/gpt-image-2"),
        ("qwen", SLUGS, "alibaba/qwen-image-plus"),
        ("Nano-Banana", SLUGS, "google/nano-banana-2"),
    ],
)
def test_the_nearest_comes_first(word: str, known: list[str], first: str) -> None:
    assert suggest(word, known)[0] == first


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("zzz", PARAMETERS),
        ("", PARAMETERS),
        ("seed", []),
        ("a/", ["b/"]),
        ("x" * 100_000, PARAMETERS),
        ("n", ["negative_prompt", "image"]),
    ],
)
def test_what_is_not_near_is_not_offered(word: str, known: list[str]) -> None:
    assert suggest(word, known) == []
    assert did_you_mean(word, known) == ""


def test_equally_near_names_keep_their_order_and_come_once() -> None:
    assert suggest("cat", ["cats", "cat1", "cats"]) == ["cats", "cat1"]


def test_no_more_than_asked_for() -> None:
    assert len(suggest("name", [f"name{i}" for i in range(9)], n=2)) == 2
    assert suggest("name", ["name1"], n=0) == []


@pytest.mark.parametrize(
    ("known", "n", "question"),
    [
        (["seed"], 3, "Did you mean `seed`?"),
        (["seed", "seeds"], 1, "Did you mean `seed`?"),
        (["seed", "seeds"], 3, "Did you mean `seed` or `seeds`?"),
        (["seed", "seeds", "seed1"], 3, "Did you mean `seed`, `seeds` or `seed1`?"),
    ],
)
def test_the_question(known: list[str], n: int, question: str) -> None:
    assert did_you_mean("seed", known, n) == question


@given(st.text(), st.lists(st.text()))
def test_any_text_gives_some_of_the_known_names(word: str, known: list[str]) -> None:
    found = suggest(word, known)
    assert len(found) == len(set(found)) <= 3
    assert set(found) <= set(known)


@given(st.text(min_size=1).filter(lambda word: "/" not in word))
def test_a_known_name_is_nearest_to_itself(word: str) -> None:
    assert suggest(word, ["something else", word])[0] == word
