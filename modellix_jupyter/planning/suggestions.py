"""What an error says of something unknown: the known names that are most like it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

# The ratio below which two names have nothing to do with each other (difflib's own default).
CUTOFF = 0.6

# How many letters make a part of a name worth finding inside another.
MIN_PART = 3


def suggest(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return at most `n` known names that look most like a word, the most similar first.

    Letter case does not count. Of a model's slug, the part after the slash is also compared by
    itself, so a model is found under a wrong provider, or under none.
    """
    scored = [(_score(word.lower(), name.lower()), name) for name in dict.fromkeys(known)]
    close = [pair for pair in scored if pair[0] >= CUTOFF]
    close.sort(key=lambda pair: -pair[0])
    return [name for _, name in close[:n]]


def did_you_mean(word: str, known: Iterable[str], n: int = 1) -> str:
    """Return a sentence such as "Did you mean `seed`?", or nothing where no name is similar."""
    names = [f"`{name}`" for name in suggest(word, known, n)]
    if not names:
        return ""
    listed = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return f"Did you mean {listed}?"


def short(value: object, width: int = 60) -> str:
    """Return the beginning of a value's text, for an error that quotes it."""
    text = str(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _score(word: str, name: str) -> float:
    whole = _ratio(word, name)
    return max(whole, _ratio(_tail(word), _tail(name))) if "/" in name else whole


def _tail(slug: str) -> str:
    return slug.rpartition("/")[2]


def _ratio(one: str, other: str) -> float:
    shorter, longer = sorted((one, other), key=len)
    if not shorter:
        return 0.0
    floor = CUTOFF if len(shorter) >= MIN_PART and shorter in longer else 0.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # The two bounds are cheap, and spare the slow comparison for nearly every name of a notebook.
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < CUTOFF:
        return floor
    return max(floor, matcher.ratio())
