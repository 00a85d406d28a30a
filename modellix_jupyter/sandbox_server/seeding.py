"""Repeatable chance: every random-looking choice of the sandbox is a hash of what it is about."""

import hashlib
import json
import random


def canonical(value: object) -> str:
    """Return one spelling of a JSON value, whatever the order of its keys.

    Parameters
    ----------
    value
        Anything `json.loads` returns.

    Returns
    -------
    str
        Compact ASCII JSON with sorted keys. Being ASCII, it survives lone surrogates.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def fingerprint(*parts: object) -> int:
    """Return a 64-bit number that depends on every part, the same on every machine.

    Parameters
    ----------
    *parts
        JSON values. Unlike `hash`, the result does not change from process to process.

    Returns
    -------
    int
        Between 0 and 2**64 - 1.
    """
    digest = hashlib.sha256(canonical(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on every part.

    Parameters
    ----------
    *parts
        JSON values.

    Returns
    -------
    float
        Uniform over the parts. Built of 53 bits, so that it never rounds up to 1.
    """
    return (fingerprint(*parts) >> 11) / 2**53


def stream(*parts: object) -> random.Random:
    """Return a generator of repeatable numbers for these parts.

    Parameters
    ----------
    *parts
        JSON values.

    Returns
    -------
    random.Random
        A generator of its own, which shares no state with the `random` module.
    """
    return random.Random(fingerprint(*parts))  # noqa: S311 - it draws pictures, it keeps no secrets
