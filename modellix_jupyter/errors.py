"""Every error that this package raises on purpose, as a tree.

::

    ModellixError
    ├── UserError            found before anything was sent; the user can mend it here
    │   ├── InvalidRequest   a cell, an option, a prompt or a parameter that cannot be sent
    │   ├── UnknownModel     a model that the catalog does not have
    │   ├── ConfigError      a setting, a base URL or a key of the wrong form
    │   ├── MissingKey       no key anywhere
    │   ├── OverBudget       it may cost more than a limit leaves, or its price is not known
    │   └── MissingExtra     an optional library that this call needs is not installed
    ├── ApiError             the service refused the request, in the documented form
    │   ├── BadRequest       400  fix the parameters
    │   ├── Unauthorized     401  give a valid key
    │   ├── PaymentRequired  402  recharge the account
    │   ├── NotFound         404  check the id of the task or the model
    │   ├── RateLimited      429  retried as the answer says, then this
    │   │   └── ConcurrencyLimited    sent when one of the running tasks ends
    │   ├── ServerError      500  retried three times, then this
    │   └── Unavailable      503  retried until the deadline, then this
    ├── TransportError       no documented answer came
    │   ├── ConnectFailed    the connection was never made: safe to try again
    │   ├── NoAnswer         sent, and then silence, a reset or a time-out
    │   └── BadAnswer        an answer came, but not in a documented form
    ├── OutcomeUnknown       a submission that may have been accepted; never sent again by itself
    ├── TaskFailed           the task was accepted, ran, and failed
    ├── TaskExpired          the service no longer knows the task or its files
    ├── WaitTimeout          the wait ended before the task did; the task goes on
    ├── DownloadError        a result could not be downloaded completely
    │   └── ResultGone       the service says that it no longer has it
    └── LedgerError          the ledger cannot be opened, read or written
        ├── LedgerTooNew     written by a newer version; left untouched
        ├── LedgerUnavailable    another program holds it, or its server is away: try again later
        ├── RowGone          the row of a task is gone; the task is not sent
        └── NotOwned         another kernel drives the task now

`WaitInterrupted` is not in the tree: it is a `KeyboardInterrupt`, so that "Run All" stops.

Each error carries two lines: `message` (what happened) and `hint` (what to do about it). A notebook
shows nothing else: see `_render_traceback_`. Two functions below help to word them: `short` for
quoted values, and `did_you_mean` for unknown names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

CONSOLE_URL = "https://modellix.ai/console/api-key"
# The least ratio of two names that are similar (difflib's own default).
_CUTOFF = 0.6
# The fewest letters of a name that is looked for inside another one.
_MIN_PART = 3


class ModellixError(Exception):
    """The base of every error of this package.

    Parameters
    ----------
    message
        What happened, in one sentence.
    hint
        What to do next, in one sentence; the class has a default.

    """

    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what the error holds; the default calls the class with one argument."""
        return (_rebuild, (type(self), self.args, _state(self)))

    def _render_traceback_(self) -> list[str]:
        """Show two lines in IPython, instead of the stack."""
        return two_lines(type(self).__name__, self.message, self.hint)


def _state(error: BaseException) -> dict[str, Any]:
    """Return the attributes of an error without `results`, which belong to their process."""
    return {name: value for name, value in vars(error).items() if name != "results"}


def _rebuild(
    kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]
) -> BaseException:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UserError(ModellixError):
    """Something the user wrote, found before anything was sent."""


class InvalidRequest(UserError):
    """A cell, an option, a prompt or a parameter that cannot be sent."""

    # The text that was given as a model, if it is not a slug.
    model: str | None = None


class UnknownModel(UserError):
    """A model that the catalog does not have."""

    default_hint = "`%modellix models` lists them."


class ConfigError(UserError):
    """A setting, a base URL or a key of the wrong form."""

    default_hint = "`%config Modellix` lists every setting."


class MissingKey(UserError):
    """No key was found in any of the places where one may be."""

    default_hint = (
        f"Create one at {CONSOLE_URL} and run `%modellix key`, "
        "or try everything without one: `%modellix sandbox`."
    )


class OverBudget(UserError):
    """A plan that may cost more than is left of a limit, or whose price is not known."""

    default_hint = "Nothing was sent; `%modellix budget` shows the limit and sets another."


class MissingExtra(UserError):
    """An optional library that this call needs is not installed.

    Parameters
    ----------
    purpose
        What needs it, as the subject of a sentence.
    library
        The name to import.
    extra
        The extra of this package that brings it.

    """

    def __init__(self, purpose: str, library: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed.",
            f"Install it with: pip install 'modellix-jupyter[{extra}]'",
        )


class ApiError(ModellixError):
    """The service refused the request, in the documented form.

    Parameters
    ----------
    message
        The answer's message, ``"<Category>: <detail>"``.
    code
        The HTTP status, which the answer repeats as ``code``.
    call
        The request, as ``"POST /api/v1/..."``; never its headers.
    attempts
        How many times it was sent, this one included.

    Attributes
    ----------
    category, detail : str
        The two halves of the answer's message; category is empty if there is no colon.
    hint_s : float or None
        For a 429, the seconds to wait by its headers; None if they state nothing credible.

    """

    status: ClassVar[int] = 0
    hint_s: float | None = None

    def __init__(self, message: str, *, code: int, call: str = "", attempts: int = 1) -> None:
        category, colon, detail = message.partition(":")
        self.category = category.strip() if colon else ""
        self.detail = detail.strip() if colon else message.strip()
        self.answer = message
        self.code = code
        self.call = call
        self.attempts = attempts
        times = "" if attempts == 1 else f", after {attempts} attempts"
        super().__init__(f"{code}: {message or type(self).__name__}{times}")


class BadRequest(ApiError):
    """A parameter is missing, of the wrong form or outside its range."""

    status = 400
    default_hint = "Change the parameter it names; nothing was charged."


class Unauthorized(ApiError):
    """The key is missing, wrong or expired."""

    status = 401
    default_hint = f"`%modellix key` asks for another; keys are made at {CONSOLE_URL}."


class PaymentRequired(ApiError):
    """The balance does not cover the request."""

    status = 402
    default_hint = "Recharge the account in the Modellix console; `%modellix balance` shows it."


class NotFound(ApiError):
    """The task, the model or the provider does not exist."""

    status = 404
    default_hint = "`%modellix models` lists the models, `%modellix history` the tasks."


class RateLimited(ApiError):
    """Too many requests, for longer than the deadline."""

    status = 429
    default_hint = "Nothing was charged; wait a minute, or send fewer at once."


class ConcurrencyLimited(RateLimited):
    """Too many tasks at once: a submission is accepted as soon as one of them ends."""

    default_hint = "Nothing was charged; send it again when a running task has ended."


class ServerError(ApiError):
    """The service failed four times."""

    status = 500
    default_hint = "Nothing was charged; try again later."


class Unavailable(ApiError):
    """The service, or the model, is closed for now."""

    status = 503
    default_hint = "Nothing was charged; try again later, or another model."


class TransportError(ModellixError):
    """No documented answer came."""

    default_hint = "Check the network and the base URL; `%modellix doctor` tests both."


class ConnectFailed(TransportError):
    """The connection was never made, so nothing was sent."""


class NoAnswer(TransportError):
    """The request was sent, or may have been, and no answer was read."""


class BadAnswer(TransportError):
    """An answer came, but not in a documented form."""


class OutcomeUnknown(ModellixError):
    """A submission got no readable answer, so it may have been accepted and charged."""

    default_hint = "It is not sent again by itself; `%modellix resume` says what can be done."


class TaskFailed(ModellixError):
    """The task was accepted and ran, and failed."""

    default_hint = "Change the prompt or the parameters."


class TaskExpired(ModellixError):
    """The service no longer knows the task, or no longer has its files."""

    default_hint = "`%modellix resume` asks once more; a result is kept for a week at most."


class WaitTimeout(ModellixError, TimeoutError):
    """The wait ended before the task did; the task goes on.

    Attributes
    ----------
    results : Results or None
        The results that the call would have returned.

    """

    results: Any = None
    default_hint = "The tasks go on: `%modellix wait` takes the wait up again."


class DownloadError(ModellixError):
    """A result could not be downloaded completely.

    Parameters
    ----------
    message, hint
        As in `ModellixError`.
    final
        Whether every retry would fail too, so that the result is lost.
    blocked
        Whether retries fail until the user changes something here; then the result is not lost.

    """

    default_hint = "`%modellix resume` tries again while the service still has it."

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        final: bool = True,
        blocked: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.final = final and not blocked
        self.blocked = blocked


class ResultGone(DownloadError):
    """The service says that it no longer has a result's file."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint, final=False)


class LedgerError(ModellixError):
    """The ledger cannot be opened, read or written."""

    default_hint = "Set MODELLIX_HOME to a folder that can be written."


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer version of this package."""

    default_hint = "Upgrade modellix-jupyter, or set MODELLIX_HOME or MODELLIX_LEDGER to another."


class LedgerUnavailable(LedgerError):
    """Another program holds the ledger, or its server is away: the same may succeed later."""

    default_hint = "Another program is writing to it for long, or hangs: end it, or try again."


class RowGone(LedgerError):
    """The row of a task is gone: the ledger was removed, or restored from a backup."""

    default_hint = "Run its cell again where you still want it."


class NotOwned(LedgerError):
    """Another kernel drives the task now; nothing was written."""

    default_hint = "Nothing was written; this kernel follows the other one."


class WaitInterrupted(KeyboardInterrupt):
    """The user interrupted the cell; only the waiting ended.

    A `KeyboardInterrupt`, because "Run All" must stop, and papermill must notice.

    Attributes
    ----------
    results : Results or None
        As in `WaitTimeout`.

    """

    results: Any = None

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.args, _state(self)))

    def _render_traceback_(self) -> list[str]:
        return two_lines("Interrupted", self.message, self.hint)


# The table of errors of the API, by HTTP status.
API_ERRORS: dict[int, type[ApiError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        PaymentRequired,
        NotFound,
        RateLimited,
        ServerError,
        Unavailable,
    )
}


def two_lines(name: str, message: str, hint: str) -> list[str]:
    """Return the two lines of an error in a notebook, without control characters."""
    return plain_lines(f"{name}: {message}", hint)


def plain_lines(message: str, hint: str) -> list[str]:
    """Return a message and its hint, one line each, without control characters."""
    return [_flat(text) for text in (message, hint) if text]


def _flat(text: str) -> str:
    """Fold white space and replace control characters, because messages quote the server."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "�" for c in text).split())


def short(value: object, width: int = 60) -> str:
    """Return the beginning of a value's text, for an error that quotes it."""
    text = str(value)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def suggest(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return at most `n` known names that look most like a word, the most similar first.

    Letter case does not count. Of a model's slug, the part after the slash is also compared by
    itself, so a model is found under a wrong provider, or under none.
    """
    scored = [(_score(word.lower(), name.lower()), name) for name in dict.fromkeys(known)]
    close = [pair for pair in scored if pair[0] >= _CUTOFF]
    close.sort(key=lambda pair: -pair[0])
    return [name for _, name in close[:n]]


def did_you_mean(word: str, known: Iterable[str], n: int = 1) -> str:
    """Return a sentence such as "Did you mean `seed`?", or nothing if no name is similar."""
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
    shorter, longer = sorted((one, other), key=len)
    if not shorter:
        return 0.0
    floor = _CUTOFF if len(shorter) >= _MIN_PART and shorter in longer else 0.0
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(None, one, other, autojunk=False)
    # The two bounds are cheap, and avoid the slow comparison for nearly every name of a notebook.
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < _CUTOFF:
        return floor
    return max(floor, matcher.ratio())
