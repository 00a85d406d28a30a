from __future__ import annotations

import subprocess
import sys

import modellix_jupyter.frames as package

HEAVY = ("pandas", "numpy", "pyarrow", "xlsxwriter", "matplotlib", "PIL")


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = f"import sys, modellix_jupyter.frames; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(  # noqa: S603 - our own interpreter and a literal
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_these() -> None:
    assert sorted(package.__all__) == [
        "CONTRACT",
        "ENDINGS",
        "KINDS",
        "block_frame",
        "plot",
        "plot_png",
        "read_csv",
        "summarise",
        "task_frame",
        "write_table",
    ]
    assert all(hasattr(package, name) for name in package.__all__)
