"""Generate images, videos and audio with Modellix from Jupyter.

``%load_ext modellix_jupyter``, then ``%%modellix provider/model`` and a prompt; ``%modellix help``
says the rest. With no key, ``%modellix sandbox`` runs a local Modellix.
"""

from __future__ import annotations

from importlib import import_module

# Type checkers take this for typing's own; to import typing costs almost a second start of Python.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from modellix_jupyter import errors
    from modellix_jupyter.errors import ModellixError
    from modellix_jupyter.notebook.functions import (
        agenerate,
        budget,
        compare,
        describe,
        generate,
        history,
        models,
        sandbox,
        submit,
        submit_frame,
        upload,
    )
    from modellix_jupyter.notebook.service import AsyncClient
    from modellix_jupyter.results.results import Results
    from modellix_jupyter.results.show import show
    from modellix_jupyter.values import Request, Resource, Status, Task
    from modellix_jupyter.widgets.panel import panel

__version__ = "0.1.0"

# By hand rather than by lazy-loader: its import costs more than this package's own.
_HOMES = {
    "AsyncClient": "notebook.service",
    "ModellixError": "errors",
    "Request": "values",
    "Resource": "values",
    "Results": "results.results",
    "Status": "values",
    "Task": "values",
    "agenerate": "notebook.functions",
    "budget": "notebook.functions",
    "compare": "notebook.functions",
    "describe": "notebook.functions",
    "generate": "notebook.functions",
    "history": "notebook.functions",
    "models": "notebook.functions",
    "panel": "widgets.panel",
    "sandbox": "notebook.functions",
    "show": "results.show",
    "submit": "notebook.functions",
    "submit_frame": "notebook.functions",
    "upload": "notebook.functions",
}

__all__ = [
    "AsyncClient",
    "ModellixError",
    "Request",
    "Resource",
    "Results",
    "Status",
    "Task",
    "__version__",
    "agenerate",
    "budget",
    "compare",
    "describe",
    "errors",
    "generate",
    "history",
    "load_ipython_extension",
    "models",
    "panel",
    "sandbox",
    "show",
    "submit",
    "submit_frame",
    "unload_ipython_extension",
    "upload",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type depends on the name
    if name == "errors":
        return import_module("modellix_jupyter.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(ip: InteractiveShell) -> None:
    """Register the magics; ``%load_ext modellix_jupyter`` calls this."""
    from modellix_jupyter.magic.magics import load

    load(ip)


def unload_ipython_extension(ip: InteractiveShell) -> None:
    """Close the sessions, unless a sandbox is in use; ``%unload_ext`` calls this."""
    from modellix_jupyter.magic.magics import unload

    unload(ip)
