"""Where a live status is drawn: a notebook's output that is updated in place, or a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from modellix_jupyter.values import Json

    Bundle = dict[str, str]


class Screen(Protocol):
    """Draws a mime bundle where the one before it was."""

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        """Draw; `last` says that nothing will follow while the cell runs."""
        ...


class NotebookScreen:
    """An output of the cell that runs when the first bundle is drawn.

    Updates may come from any thread, during that cell and after it: they are addressed to the
    output by its id, where `display` itself would go to whatever cell runs next.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown: int | None = None

    def draw(self, bundle: Bundle, *, last: bool) -> None:  # noqa: ARG002 - a notebook keeps every draw
        """Show the bundle, or exchange what was shown for it; the same is not sent twice."""
        before, self._shown = self._shown, hash(tuple(bundle.values()))
        if before == self._shown:
            return
        if self._handle is None:
            from IPython.display import display

            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types here
        else:
            self._handle.update(bundle, raw=True)


class TerminalScreen:
    """Lines of a terminal, redrawn in place while the cell runs; else only the last is written."""

    def __init__(self) -> None:
        self._lines = 0

    def draw(self, bundle: Bundle, *, last: bool) -> None:
        """Write the text over the one before it."""
        live = sys.stdout.isatty()
        if not live and not last:
            return
        text = bundle["text/plain"].rstrip("\n")
        up = f"\x1b[{self._lines}F\x1b[0J" if self._lines else ""
        sys.stdout.write(f"{up}{text}\n")
        sys.stdout.flush()
        self._lines = 0 if last or not live else text.count("\n") + 1


def shell() -> Any:  # noqa: ANN401 - IPython's shells have no common type that says what they can
    """Return the running IPython shell, or None; without importing IPython to find out."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def find_screen() -> Screen | None:
    """Return where to draw now, or None in a plain script."""
    ip = shell()
    if ip is None:
        return None
    return NotebookScreen() if hasattr(ip, "kernel") else TerminalScreen()


def execution_count() -> Json:
    """Return the number of the cell that runs, or None outside IPython."""
    ip = shell()
    return None if ip is None else int(ip.execution_count)
