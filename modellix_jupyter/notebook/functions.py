"""The functions of the package: most make a plan and hand it to the session in use."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, cast

from modellix_jupyter.engine.waiting import check_timeout, is_number
from modellix_jupyter.errors import (
    InvalidRequest,
    ModellixError,
    WaitInterrupted,
    did_you_mean,
    short,
)
from modellix_jupyter.html.formatting import price_range
from modellix_jupyter.notebook.current_session import current, leave, push
from modellix_jupyter.notebook.display import connect_viewer
from modellix_jupyter.notebook.spending import Budget, ask_first, set_limit, standing_of
from modellix_jupyter.planning.plan import make_plan
from modellix_jupyter.results.results import one_prompt

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from modellix_jupyter.results.results import Results, View
    from modellix_jupyter.sandbox_server import Sandbox
    from modellix_jupyter.values import Json

# How a call confirms a plan beforehand.
_YES = "yes=True"
# The key that is sent to a sandbox.
SANDBOX_KEY = "sandbox"  # the sandbox accepts any key
# The most requests a second that are sent to a sandbox.
SANDBOX_RATE = 100.0


def submit(
    prompt: str | Sequence[str] | None, model: str, *, yes: bool = False, **params: object
) -> Results:
    """Send one task for each prompt and return at once.

    It asks first if the plan exceeds the setting ``ask_above`` (tasks) or ``ask_above_usd``, or if
    it has several tasks and not all prices are known. A request with a seed is not sent again if
    the ledger has its result; see the setting ``reuse``.

    Parameters
    ----------
    prompt
        The text, several texts, or None for a model that takes none.
    model
        The slug, ``provider/model``.
    yes
        Send without a confirmation, whatever it costs.
    **params
        The model's own parameters. A parameter for media takes an address, a path, bytes, a picture
        of Pillow or NumPy, a task, results or a resource; or a list of these, if the model takes
        several.

    Returns
    -------
    Results
        As the value of a cell, they are shown and kept up to date. They are empty if the answer was
        no.

    Raises
    ------
    UserError, MissingKey, LedgerError
        The message says what to do; nothing was sent. Raised also if there is nobody to ask.

    """
    with full_names():
        plan = make_plan(one_prompt(prompt), [model], params=params)
    return current().submit(plan, confirm=ask_first(_YES, yes=yes))


def generate(
    prompt: str | Sequence[str] | None,
    model: str,
    *,
    timeout: float | None = None,
    yes: bool = False,
    **params: object,
) -> Results:
    """Send one task for each prompt, show its progress, and wait; it asks first as `submit` does.

    Parameters
    ----------
    prompt, model, yes, **params
        As in `submit`.
    timeout
        How long to wait, in seconds; the tasks go on after it.

    Raises
    ------
    ApiError, TaskFailed, TaskExpired, OutcomeUnknown
        The task failed, or all of several did.
    WaitTimeout, WaitInterrupted
        Only the waiting ended; the attribute ``results`` has the results.

    """
    check_timeout(timeout)  # before anything is paid for
    return run(submit(prompt, model, yes=yes, **params), timeout)


def compare(
    prompts: str | Sequence[str | None],
    models: str | Sequence[str],
    *,
    vary: Mapping[str, Sequence[Json]] | None = None,
    repeat: int = 1,
    timeout: float | None = None,
    yes: bool = False,
    **params: object,
) -> Results:
    """Send every combination of prompts, models and varied parameters, and wait.

    It asks first as `submit` does.

    Parameters
    ----------
    prompts, models
        One, or several.
    vary
        For each varied parameter, its values.
    repeat
        How many times each request is made.
    timeout
        How long to wait, in seconds; the tasks go on after it.
    yes
        Send without a confirmation, whatever it costs.
    **params
        The parameters of every request.

    Returns
    -------
    Results
        In a stable order: prompts, then models, then the varied parameters, then repeats. Empty if
        the answer was no.

    Raises
    ------
    InvalidRequest
        There is nobody to ask, or the plan cannot be sent; nothing was sent.
    WaitTimeout, WaitInterrupted
        Only the waiting ended; the attribute ``results`` has the results.

    """
    check_timeout(timeout)
    several = isinstance(models, Iterable) and not isinstance(models, str)
    slugs = list(models) if several else [cast("str", models)]
    with full_names():
        plan = make_plan(one_prompt(prompts), slugs, params=params, vary=vary, repeat=repeat)
    return run(current().submit(plan, confirm=ask_first(_YES, yes=yes)), timeout)


def submit_frame(
    frame: pd.DataFrame,
    model: str | None = None,
    *,
    batch: str | None = None,
    yes: bool = False,
) -> Results:
    """Send one task for each row of a frame and return at once; it asks first as `submit` does.

    Parameters
    ----------
    frame
        A column ``prompt``, optionally ``model``; every other column is a parameter.
    model
        The slug for every row, if the frame has no such column.
    batch
        A name that makes it resumable: a second call, for example after a restart, sends only the
        rows that the ledger does not have under this name, or that failed.
    yes
        Send without a confirmation, whatever it costs.

    Returns
    -------
    Results
        In the order of the rows. Empty if the answer was no.

    Raises
    ------
    InvalidRequest
        A row is wrong (the message names it and its column), or there is nobody to ask; nothing was
        sent.

    """
    from modellix_jupyter.planning.plan import requests_of

    if batch is not None and not (isinstance(batch, str) and batch.strip()):
        raise InvalidRequest(
            f"batch={short(batch)!r} is not a name.", 'Write a text: batch="animals".'
        )
    return current().submit(
        requests_of(frame, model), confirm=ask_first(_YES, yes=yes), batch=batch
    )


async def agenerate(
    prompt: str | Sequence[str] | None,
    model: str,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - its error says that the tasks go on
    yes: bool = False,
    **params: object,
) -> Results:
    """Send one task for each prompt and await it, with no thread blocked.

    Parameters
    ----------
    prompt, model, timeout, yes, **params
        As in `generate`, whose errors it raises too. If it is cancelled, unsent tasks are taken
        back, unless the setting ``stop_unsent_on_interrupt`` is off.

    """
    import asyncio

    check_timeout(timeout)
    session, confirm = current(), ask_first(_YES, yes=yes)
    with full_names():
        plan = make_plan(one_prompt(prompt), [model], params=params)
    order = await asyncio.to_thread(session.order, plan)
    # not on a thread: the question must appear in the cell that runs
    if order.quote.why_confirm and not confirm(order.quote):
        return session.results([])
    sending = asyncio.ensure_future(asyncio.to_thread(session.send, order))
    try:
        results = await asyncio.shield(sending)
    except asyncio.CancelledError:
        sending.add_done_callback(_give_up)
        raise
    with _shown(results):
        try:
            await results.wait_async(timeout)
        except asyncio.CancelledError:  # an interrupt of the cell arrives as this
            results._give_up()  # noqa: SLF001 - not for users to call
            raise
        return results.check()


def _give_up(sending: asyncio.Future[Results]) -> None:
    """Take back the unsent tasks of a call that was cancelled while it recorded them."""
    if not sending.cancelled() and sending.exception() is None:
        sending.result()._give_up()  # noqa: SLF001 - not for users to call


@contextmanager
def full_names() -> Iterator[None]:
    """Suggest the slug if a model was named by a part of it; send nothing on a guess."""
    try:
        yield
    except InvalidRequest as error:
        found = current().full_names(error.model) if error.model else []
        if found:
            error.hint = f"{did_you_mean(error.model or '', found, 3)} Nothing was sent."
        raise


def models(text: str | None = None) -> pd.DataFrame:
    """Return the models of the service, or those that contain every word of a text.

    Returns
    -------
    DataFrame
        One row per model: ``model`` (the slug), ``type``, ``price``, ``description``.

    """
    import pandas as pd

    found = current().find_models(text or "")
    rows = [(m.slug, m.type, price_range(m.price), m.description) for m in found]
    return pd.DataFrame(rows, columns=["model", "type", "price", "description"], dtype="string")


def describe(model: str) -> pd.DataFrame:
    """Return the parameters of a model, the required ones first.

    Parameters
    ----------
    model
        The slug, or a part of it that no other model has.

    Returns
    -------
    DataFrame
        One row per parameter: ``parameter``, ``type``, ``required``, ``default``, ``values`` (which
        are allowed) and ``description``, as the service describes it.

    Raises
    ------
    UnknownModel
        No model matches, or several do.

    """
    import pandas as pd

    from modellix_jupyter.planning.schema import COLUMNS, parameter_rows

    _, schema = current().look_up(model)
    return pd.DataFrame(parameter_rows(schema), columns=list(COLUMNS))


def run(results: Results, timeout: float | None = None, *, raising: bool = True) -> Results:
    """Show results live and wait for them; with `raising`, raise the error if all tasks failed.

    They are empty if the answer was no.
    """
    if not results:
        return results.wait(timeout)
    try:
        with _shown(results):
            results.wait(timeout)
            return results.check() if raising else results
    except WaitInterrupted:
        raise
    except KeyboardInterrupt:  # before or after the wait itself
        raise results._interrupted() from None  # noqa: SLF001 - not for users to call


@contextmanager
def _shown(results: Results) -> Iterator[None]:
    """Show results live while a cell waits; add a note if only the waiting ended."""
    view = cast("View", results.show())  # None only for empty results, and nobody waits for those
    view.waited = True
    try:
        yield
    except (KeyboardInterrupt, TimeoutError) as stop:
        view.note(str(stop).partition("\n")[0])
        raise
    except ModellixError:
        view.finish(reasons=False)
        raise
    view.finish()


def upload(path: str | Path) -> str:
    """Upload a picture as an input, unless the service has it, and return its address.

    It is sent upright and without metadata; the original is not changed. The service keeps it for
    some days. `generate(..., image=path)` does all this by itself.

    Parameters
    ----------
    path
        A PNG, JPEG or WebP file, or one that can be converted to PNG; also anything else that a
        parameter takes as a picture.

    Raises
    ------
    InvalidRequest
        It cannot be read, is no picture, or is larger than 16 MiB; nothing was sent.

    """
    return current().upload(path)


def history(service: str | None = None) -> pd.DataFrame:
    """Return the tasks in the ledger, oldest first, one row per task.

    Parameters
    ----------
    service
        The host of a base URL, ``sandbox``, or ``all`` for every one; by default the service in
        use.

    """
    connect_viewer()
    return current().history(service)


def budget(limit: str | float | None = None) -> Budget:
    """Return what was spent at the service in use; first set a limit, if one is given.

    A limit holds for every kernel that uses the ledger. The highest price of a task is reserved
    before it is sent, and counts until the service reports the charge. A plan that may cost more
    than what is left is refused as a whole. Days and months are in UTC.

    Parameters
    ----------
    limit
        In USD: ``"20/day"``, ``"300/month"``, ``50`` in all, or ``"off"`` to remove every limit.

    Returns
    -------
    Budget
        What was spent today, this month and in all, each with its limit.

    Raises
    ------
    InvalidRequest
        The limit is none of these.

    """
    session = current()
    if limit is not None:
        set_limit(session, str(limit).strip())
    return standing_of(session)


class SandboxSession(AbstractContextManager["SandboxSession"]):
    """A running sandbox; this kernel uses it until its `with` block ends or it is stopped.

    Attributes
    ----------
    base_url : str
        Where it listens.

    """

    def __init__(self, server: Sandbox) -> None:
        self._server = server
        self.base_url = server.base_url

    def stop(self) -> None:
        """Stop it, and use the session before it again."""
        leave(self._server)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return (
            f"The sandbox runs at {self.base_url}: a local Modellix, no key, no cost.\n"
            "`%modellix models` lists what it has; `%modellix doctor` says where you are."
        )


def sandbox(*, speed: float = 1.0, unless_key: bool = False) -> SandboxSession | None:
    """Start a local Modellix, and point this kernel at it.

    Parameters
    ----------
    speed
        How many times faster than the real models its tasks are.
    unless_key
        Do nothing, and return None, if an API key is found.

    Raises
    ------
    InvalidRequest
        The speed is not a number above 0.

    Examples
    --------
    >>> with sandbox(speed=20):  # doctest: +SKIP
    ...     generate("a cat", "alibaba/qwen-image-plus")

    """
    from modellix_jupyter.keys import SecretKey, places
    from modellix_jupyter.notebook.session import Session
    from modellix_jupyter.sandbox_server import Sandbox

    if not (is_number(speed) and speed > 0):
        raise InvalidRequest(
            f"speed={speed!r:.80} is not a number above 0.",
            "Write speed=20 for tasks twenty times faster than the real models'.",
        )
    before = current()
    settings = before.settings
    if unless_key and places(settings.folder()).find() is not None:
        return None
    server = Sandbox(speed=speed).start()
    # the server is only ours: no other client shares its limit of requests
    there = settings.changed(
        base_url=server.base_url, schema_url="", requests_per_second=SANDBOX_RATE
    )
    key = SecretKey(SANDBOX_KEY, "the sandbox")
    push(Session(there, key=key, sandbox=server, pace=before.pace))
    return SandboxSession(server)
