"""Faults to inject: what can go wrong with a request, and a repeatable choice of when."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

Operation = Literal["submit", "read", "download", "upload"]


class Fault(StrEnum):
    """One way in which a request fails."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    PAYMENT_REQUIRED = "402"
    NOT_FOUND = "404"
    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    PROXY_ERROR = "proxy_error"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    SILENCE = "silence"
    HANG = "hang"
    TRUNCATED_JSON = "truncated_json"
    GARBLED_JSON = "garbled_json"
    WRONG_TASK_ID = "wrong_task_id"
    TRUNCATED_FILE = "truncated_file"
    EXPIRED_FILE = "expired_file"

    @property
    def status(self) -> int | None:
        """The HTTP status this fault answers with, or None if it is not a plain error."""
        return int(self) if self.isdecimal() else None


#: Faults that come before a request is handled.
BEFORE = frozenset(
    fault for fault in Fault if fault.status or fault in {Fault.PROXY_ERROR, Fault.RESET_BEFORE}
)
_ANSWERS = {Fault.RESET_AFTER, Fault.SILENCE, Fault.HANG, Fault.TRUNCATED_JSON, Fault.GARBLED_JSON}

#: Which faults make sense for which operation.
POSSIBLE: Mapping[Operation, frozenset[Fault]] = {
    "submit": BEFORE | _ANSWERS,
    "read": BEFORE | _ANSWERS | {Fault.WRONG_TASK_ID},
    "upload": BEFORE | _ANSWERS,
    "download": BEFORE | {Fault.HANG, Fault.TRUNCATED_FILE, Fault.EXPIRED_FILE},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """A repeatable fault injector: probabilities and a seed.

    Parameters
    ----------
    submit, read, download, upload
        For each operation, the probability of each `Fault`, by its value, such as
        ``{"503": 0.1, "reset_after": 0.02}``. The rest up to 1 is the share that succeeds.
    hang_seconds
        How long a `Fault.HANG` holds its answer, in real seconds.
    lag_seconds
        How long a new object is not found yet, in real seconds: a task after it was accepted, its
        files after it ended.
    seed
        Each seed gives another sequence.

    Raises
    ------
    ValueError
        For a fault that the operation cannot have, a negative rate, or rates above 1 together.

    Examples
    --------
    >>> Faults(submit={"503": 1.0}).choose("submit", 0)
    <Fault.UNAVAILABLE: '503'>
    >>> Faults().choose("read", 7) is None
    True
    """

    submit: Mapping[str, float] = field(default_factory=dict, hash=False)
    read: Mapping[str, float] = field(default_factory=dict, hash=False)
    download: Mapping[str, float] = field(default_factory=dict, hash=False)
    upload: Mapping[str, float] = field(default_factory=dict, hash=False)
    hang_seconds: float = 5.0
    lag_seconds: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for operation, possible in POSSIBLE.items():
            _check(operation, self.rates(operation), possible)

    @classmethod
    def everywhere(cls, rate: float, *, seed: int = 0, hang_seconds: float = 5.0) -> Self:
        """Share one rate equally among all the faults that each operation can have."""
        shares: dict[str, Any] = {
            operation: {fault.value: rate / len(possible) for fault in sorted(possible)}
            for operation, possible in POSSIBLE.items()
        }
        return cls(**shares, seed=seed, hang_seconds=hang_seconds)

    def rates(self, operation: Operation) -> Mapping[str, float]:
        """Return the probabilities of one operation."""
        rates: Mapping[str, float] = getattr(self, operation)
        return rates

    def choose(self, operation: Operation, n: int) -> Fault | None:
        """Return the fault of the n-th request of an operation, or None."""
        left = _fraction("fault", self.seed, operation, n)
        for name, rate in sorted(self.rates(operation).items()):
            left -= rate
            if left < 0:
                return Fault(name)
        return None


def _check(operation: str, rates: Mapping[str, float], possible: frozenset[Fault]) -> None:
    """Raise ValueError for faults and rates that are not possible."""
    if strangers := set(rates) - possible:
        message = f"{operation} cannot have the faults {sorted(strangers)}"
        raise ValueError(message)
    rounding = 1e-9
    if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1 + rounding:
        message = f"the rates of {operation} must be positive and at most 1 together"
        raise ValueError(message)


def _fraction(*parts: object) -> float:
    """Return a number in [0, 1) that is a hash of the parts: 53 bits, so never rounded up to 1."""
    text = json.dumps(parts, separators=(",", ":"))
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
