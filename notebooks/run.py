"""Run the notebooks in a real kernel on a sandbox: for the demo, or to save them with outputs."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from traitlets.config import Config

from modellix_jupyter.sandbox_server import Sandbox

HERE = Path(__file__).parent
DEMO = HERE.parent / "demo"
NAMES = ("quickstart", "compare", "batch", "inputs", "panel")
PATIENCE_S = 300
SHOWN = ["task_id", "status", "model", "prompt", "submitted_at", "elapsed_s", "price"]
MOST_ROWS = 12
"""Of the table that is printed: the first and the last ones."""


def run(name: str, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook with `folder` as its working directory, and return it with its outputs."""
    notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as sockets:
        # not over TCP, which any user of this machine could listen to
        transport = {"transport": "ipc", "ip": str(Path(sockets, "kernel"))}
        NotebookClient(
            notebook,
            timeout=PATIENCE_S,
            resources={"metadata": {"path": str(folder)}},
            config=Config({"KernelManager": transport}),
        ).execute()
    return notebook


def demo(speed: float) -> None:
    """Leave each notebook as a page, with what it exported, and print the table."""
    os.environ["MODELLIX_HOME"] = str(DEMO / "home")
    # a key of the user's must not be spent by a demo, so it is the sandbox that is spoken to
    with Sandbox(speed=speed) as sandbox:
        os.environ |= {"MODELLIX_BASE_URL": sandbox.base_url, "MODELLIX_API_KEY": "sandbox"}
        for name in NAMES:
            print(f"Running {name}.ipynb on the sandbox ...", flush=True)
            page, _ = HTMLExporter(embed_images=True).from_notebook_node(run(name, DEMO))
            (DEMO / f"{name}.html").write_text(page, encoding="utf-8")
    _tell()


def _tell() -> None:
    import modellix_jupyter as mx

    print("\nThe pages and tables are in:")
    for path in sorted(DEMO.glob("*.html")) + sorted((DEMO / "results").glob("*")):
        print(f"  {path}")
    print()
    frame = mx.history()[SHOWN]
    print(frame.to_string(max_rows=MOST_ROWS, show_dimensions=True))


def save() -> None:
    """Run each notebook as a newcomer would, with no key, and save it where it is."""
    for variable in ("MODELLIX_API_KEY", "MODELLIX_BASE_URL"):
        os.environ.pop(variable, None)
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MODELLIX_HOME"] = str(Path(folder, "modellix"))
            notebook = _without_this_machine(run(name, Path(folder)), folder)
        nbformat.write(notebook, HERE / f"{name}.ipynb")


def _without_this_machine(notebook: nbformat.NotebookNode, folder: str) -> nbformat.NotebookNode:
    """Take out when each cell ran, and exchange the folder of this run for a plain one."""
    text = nbformat.writes(notebook).replace(folder, "~")
    notebook = nbformat.reads(text, as_version=4)
    # a widget is nothing without its kernel; what is to be seen without one is an output of its own
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="save the notebooks with outputs")
    parser.add_argument("--speed", type=float, default=1.0, help="of the demo's sandbox")
    chosen = parser.parse_args()
    if chosen.save:
        save()
    else:
        demo(chosen.speed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
