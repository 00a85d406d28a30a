"""Takes tasks away: to a file, to a variable of the notebook, or as the cells that do the same."""

from __future__ import annotations

import keyword
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.errors import ConfigError, InvalidRequest
from modellix_jupyter.notebook.display import shell
from modellix_jupyter.planning.cell_parser import cell_text
from modellix_jupyter.widgets.controls import StatusLine, button, column, field, row

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.compare import Compare
    from modellix_jupyter.widgets.create import Create
    from modellix_jupyter.widgets.panel_context import PanelContext

FORMATS = ("csv", "json", "jsonl", "parquet", "xlsx", "html", "folder with originals")
TICKED, KERNEL, ALL = "ticked to compare", "all of this kernel", "the whole history"


class Export:
    """Which tasks, and three ways to take them away."""

    def __init__(self, context: PanelContext, create: Create, compare: Compare) -> None:
        self._context = context
        self._create = create
        self._compare = compare
        self.status = StatusLine()
        self.which = field(widgets.Dropdown, "Tasks", options=[KERNEL, TICKED, ALL])
        self.format = field(widgets.Dropdown, "Format", options=FORMATS)
        self.path = field(widgets.Text, "File", value="modellix.csv")
        self.to_file = button("Export to the file", self._export)
        self.variable = field(widgets.Text, "Variable", value="tasks")
        self.to_variable = button("Set the variable", self._bind)
        self.of_form = button("The form as a cell", lambda: self._write(self._create.cell))
        self.of_tasks = button("The tasks as cells", lambda: self._write(self._cells))
        self.cell = field(widgets.Textarea, "Cell", placeholder="Ready to paste", rows=8)
        self.view = column(
            *(self.which, self.format, self.path, row(self.to_file)),
            *(self.variable, row(self.to_variable)),
            *(row(self.of_form, self.of_tasks), self.cell, self.status.view),
            width="100%",
            max_width="760px",
        )
        self.format.observe(lambda _: self._rename(), "value")

    def _rename(self) -> None:
        path = Path(self.path.value or "modellix.csv")
        stem = path.with_suffix("") if path.suffix else path
        folder = self.format.value == FORMATS[-1]
        self.path.value = f"{stem}/" if folder else f"{stem}.{self.format.value}"

    def _results(self) -> Results:
        if self.which.value == TICKED:
            return self._compare.results()
        session = self._context.session
        return session.results(map(session.engine.get, self._context.uids()))

    def _export(self) -> None:
        path = self.path.value.strip()
        session, everything = self._context.session, self.which.value == ALL

        def write() -> Path:
            if not path:
                raise InvalidRequest("There is no file name.", "As in: modellix.csv")
            if everything:
                return session.export_history(path)
            results = self._results()
            if not results:
                raise InvalidRequest("There is no task to export.", "Choose other tasks above.")
            return results.export(path)

        self.status.message(f"Writing {path} …")  # instead of the message of the export before
        self._context.do(
            write, lambda written: self.status.message(f"Written: {written}"), self.status.error
        )

    def _bind(self) -> None:
        session, everything = self._context.session, self.which.value == ALL
        ip = shell()
        # the form under which Python looks for it
        name = unicodedata.normalize("NFKC", self.variable.value.strip())

        def read() -> pd.DataFrame:
            return session.history() if everything else self._results().frame()

        def bind(frame: pd.DataFrame) -> None:
            ip.user_ns[name] = frame
            self.status.message(f"{name} is a DataFrame of {len(frame)} rows.")

        with self.status.show_errors():
            if ip is None:
                raise ConfigError("There is no notebook here.", "Export to a file instead.")
            if not name.isidentifier() or keyword.iskeyword(name):
                raise InvalidRequest("This is not the name of a variable.", "As in: tasks")
            self._context.do(read, bind, self.status.error)

    def _write(self, cells: Callable[[], str]) -> None:
        self.status.clear()
        with self._context.lock, self.status.show_errors():
            self.cell.value = cells()

    def _cells(self) -> str:
        """Return a cell for each different request of the tasks, as they were made."""
        if self.which.value == ALL:
            raise InvalidRequest("The whole history is too much for cells.", "Tick some tasks.")
        requests = [task.request for task in self._results()]
        if not requests:
            raise InvalidRequest("There is no task.", "Choose other tasks above.")
        texts = [cell_text([r.prompt], [r.model], params=r.params) for r in requests]
        return "\n".join(dict.fromkeys(texts))
