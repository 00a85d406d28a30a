"""Layer 2: tasks to a typed DataFrame, and the DataFrame to files, numbers and pictures.

pandas, pyarrow, xlsxwriter, matplotlib and PIL are imported by the function that needs them, so
importing this package costs nothing.
"""

from __future__ import annotations

from modellix_jupyter.frames.blocks import block_frame
from modellix_jupyter.frames.csvfile import read_csv
from modellix_jupyter.frames.exports import ENDINGS, write_table
from modellix_jupyter.frames.frame import CONTRACT, task_frame
from modellix_jupyter.frames.plots import KINDS, plot, plot_png
from modellix_jupyter.frames.summary import summarise

__all__ = [
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
