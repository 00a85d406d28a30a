"""The nearest known names to one that is not known: for the sentence after "no such"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

CUTOFF = 0.6
"""The ratio below which two names have nothing to do with each other (difflib's own default)."""

SHORTEST_PART = 3
"""How many letters make a part of a name worth finding inside another."""


def suggest(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the known names that look most like a word.

    Letter case does not count. Of a model's slug, the part after the slash is also compared by
    itself, so a model is found under a wrong provider, or under none.

    Parameters
    ----------
    word
        What was written.
    known
        What could have been meant.
    n
        How many to return at most.

    Returns
    -------
    list of str
        The nearest first; names that are equally near keep the order of `known`.

    """
    scored = [(_score(word.lower(), name.lower()), name) for name in dict.fromkeys(known)]
    close = [pair for pair in scored if pair[0] >= CUTOFF]
    close.sort(key=lambda pair: -pair[0])
    return [name for _, name in close[:n]]


def did_you_mean(word: str, known: Iterable[str], n: int = 1) -> str:
    """Return a question that offers the nearest names, or nothing where none is near.

    Parameters
    ----------
    word
        What was written.
    known
        What could have been meant.
    n
        How many names to offer at most.

    Returns
    -------
    str
        ``""``, or as in ``"Did you mean `seed`?"``.

    """
    names = [f"`{name}`" for name in suggest(word, known, n)]
    if not names:
        return ""
    listed = " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return f"Did you mean {listed}?"


def _score(word: str, name: str) -> float:
    whole = _ratio(word, name)
    return max(whole, _ratio(_tail(word), _tail(name))) if "/" in name else whole


def _tail(slug: str) -> str:
    return slug.rpartition("/")[2]


def _ratio(one: str, other: str) -> float:
    short, long = sorted((one, other), key=len)
    if not short:
        return 0.0
    floor = CUTOFF if len(short) >= SHORTEST_PART and short in long else 0.0
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # The two bounds are cheap, and spare the slow comparison for nearly every name of a notebook.
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < CUTOFF:
        return floor
    return max(floor, matcher.ratio())
