"""To take it away: a file, a variable of the notebook, or the cell that does the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets

from modellix_jupyter.errors import ConfigError, InvalidRequest, ModellixError
from modellix_jupyter.notebook.display import shell
from modellix_jupyter.planning.cell_options import variable_of
from modellix_jupyter.planning.cell_writer import cell_text
from modellix_jupyter.widgets.fields import LABEL, WIDE
from modellix_jupyter.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from modellix_jupyter.results.results import Results
    from modellix_jupyter.widgets.compare import Compare
    from modellix_jupyter.widgets.create import Create
    from modellix_jupyter.widgets.panel_context import PanelContext
    from modellix_jupyter.widgets.tasks_view import TasksView

FORMATS = ("csv", "json", "jsonl", "parquet", "xlsx", "html", "folder with originals")
TICKED, KERNEL, ALL = "ticked to compare", "all of this kernel", "the whole history"


class Export:
    """Which tasks, and three ways to take them away.

    Parameters
    ----------
    context
        See `PanelContext`.
    create, tasks_view, compare
        Whose form and tasks can be taken away.

    """

    def __init__(
        self, context: PanelContext, create: Create, tasks_view: TasksView, compare: Compare
    ) -> None:
        self._context = context
        self._create = create
        self._tasks_view = tasks_view
        self._compare = compare
        self.status = StatusLine()
        self.which = widgets.Dropdown(
            description="Tasks", options=[KERNEL, TICKED, ALL], layout=WIDE, style=LABEL
        )
        self.format = widgets.Dropdown(
            description="Format", options=list(FORMATS), layout=WIDE, style=LABEL
        )
        self.path = widgets.Text(
            description="File", value="modellix.csv", layout=WIDE, style=LABEL,
            continuous_update=False,
        )  # fmt: skip
        self.to_file = widgets.Button(description="Export to the file", layout={"width": "auto"})
        self.variable = widgets.Text(
            description="Variable", value="tasks", layout=WIDE, style=LABEL, continuous_update=False
        )
        self.to_variable = widgets.Button(description="Set the variable", layout={"width": "auto"})
        self.of_form = widgets.Button(description="The form as a cell", layout={"width": "auto"})
        self.of_tasks = widgets.Button(description="The tasks as cells", layout={"width": "auto"})
        self.cell = widgets.Textarea(
            description="Cell", placeholder="Ready to paste", rows=8, layout=WIDE, style=LABEL
        )
        self.view = widgets.VBox(
            [
                self.which,
                self.format,
                self.path,
                widgets.HBox([self.to_file]),
                self.variable,
                widgets.HBox([self.to_variable]),
                widgets.HBox([self.of_form, self.of_tasks], layout={"flex_flow": "row wrap"}),
                self.cell,
                self.status.view,
            ],
            layout={"width": "100%", "max_width": "760px"},
        )
        self.format.observe(lambda _: self._rename(), "value")
        self.to_file.on_click(lambda _: self._export())
        self.to_variable.on_click(lambda _: self._bind())
        self.of_form.on_click(lambda _: self._write(self._create.cell))
        self.of_tasks.on_click(lambda _: self._write(self._cells))

    def _rename(self) -> None:
        path = Path(self.path.value or "modellix.csv")
        kind = self.format.value
        stem = path.with_suffix("") if path.suffix else path
        self.path.value = f"{stem}{'/' if kind == FORMATS[-1] else f'.{kind}'}"

    def _results(self) -> Results:
        if self.which.value == TICKED:
            return self._compare.results()
        session = self._context.session
        return session.results(self._tasks_view.tasks()[::-1])

    def _export(self) -> None:
        path = self.path.value.strip()
        if not path:
            self.status.error(InvalidRequest("There is no file name.", "As in: modellix.csv"))
            return
        session, everything = self._context.session, self.which.value == ALL

        def write() -> Path:
            if everything:
                return session.export_history(path)
            results = self._results()
            if not results:
                raise InvalidRequest("There is no task to export.", "Choose other tasks above.")
            return results.export(path)

        self.status.message(f"Writing {path} …")  # in the place of what was said of the one before
        self._context.do(
            write, lambda written: self.status.message(f"Written: {written}"), self.status.error
        )

    def _bind(self) -> None:
        session, everything = self._context.session, self.which.value == ALL
        try:
            name = variable_of(self.variable.value.strip()) or ""
        except InvalidRequest:
            self.status.error(InvalidRequest("This is not the name of a variable.", "As in: tasks"))
            return
        ip = shell()
        if ip is None:
            self.status.error(
                ConfigError("There is no notebook here.", "Export to a file instead.")
            )
            return

        def read() -> pd.DataFrame:
            return session.history() if everything else self._results().frame()

        def bind(frame: pd.DataFrame) -> None:
            ip.user_ns[name] = frame
            self.status.message(f"{name} is a DataFrame of {len(frame)} rows.")

        self._context.do(read, bind, self.status.error)

    def _write(self, cells: Callable[[], str]) -> None:
        with self._context.lock:
            self.status.clear()
            try:
                self.cell.value = cells()
            except ModellixError as error:
                self.status.error(error)

    def _cells(self) -> str:
        """Return a cell for each different request of the tasks, as they were made."""
        if self.which.value == ALL:
            raise InvalidRequest("The whole history is too much for cells.", "Tick some tasks.")
        requests = [task.request for task in self._results()]
        if not requests:
            raise InvalidRequest("There is no task.", "Choose other tasks above.")
        texts = [cell_text([r.prompt], [r.model], params=r.params) for r in requests]
        return "\n".join(dict.fromkeys(texts))
