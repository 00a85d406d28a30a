"""The history as a frame that a notebook shows as a table for people."""

from __future__ import annotations

import pandas as pd

from modellix_jupyter.results.show import show


class HistoryFrame(pd.DataFrame):
    """A frame that shows itself as `show` does; what is made of it is a plain frame."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        """Return the newest tasks, the newest first."""
        return str(show(self[::-1])._repr_html_())
