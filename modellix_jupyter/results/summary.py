"""How models, or any other groups of tasks, compare in time, success and price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.columns import check_columns
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ENDED = [status.value for status in Status if status.ended]
"""What `success_rate` is a share of."""

_NEEDED = ("status", "elapsed_s", "n_resources", "price")


def summarise(frame: pd.DataFrame, by: str | Sequence[str] = "model") -> pd.DataFrame:
    """Return one row for each group of tasks, with what they took, gave and cost.

    A group's column that one of the measures shares its name with is called ``by.NAME``. What was
    rejected costs nothing; tasks that were paid for in vain count in `price_per_image`.
    """
    keys = list(dict.fromkeys([by] if isinstance(by, str) else by))
    if not keys:
        raise InvalidRequest("A summary needs a column to group by.", "Say by='model', say.")
    check_columns(frame, [*keys, *_NEEDED])
    rows = frame.reset_index(drop=True)
    groups = _parts(rows).groupby(
        [rows[key].rename(str(i)) for i, key in enumerate(keys)], dropna=False, observed=True
    )
    table = _measures(groups)
    names = [f"by.{key}" if key in table.columns else key for key in keys]
    table.index.names = names
    kinds = {name: rows[key].dtype for name, key in zip(names, keys, strict=True)}
    return table.reset_index().astype(kinds)


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that are summed, each with only the rows that count for it."""
    import pandas as pd

    won = rows["status"].eq("success").fillna(value=False).astype(bool)
    charged = rows["status"].ne("rejected").fillna(value=True).astype(bool)
    elapsed = rows["elapsed_s"].astype("Float64")
    price = rows["price"].astype("Float64").where(charged)
    images = rows["n_resources"].astype("Float64").fillna(0).where(won, 0)
    return pd.DataFrame(
        {
            "won": won.astype("Float64"),
            "ended": rows["status"].isin(ENDED).astype("Float64"),
            "elapsed": elapsed,
            "minutes": elapsed.where(won) / 60,
            "timed_images": images.where(elapsed.notna(), 0),
            "price": price,
            "priced_images": images.where(price.notna(), 0),
        }
    )


def _measures(groups: Any) -> pd.DataFrame:  # noqa: ANN401 - the stubs' type has no short name
    import pandas as pd

    sums = groups.sum(min_count=1)  # a sum of nothing is unknown, not 0
    table = pd.DataFrame(
        {
            "count": groups.size(),
            "success_rate": _ratio(sums["won"], sums["ended"]),
            "median_s": groups["elapsed"].median(),
            "p90_s": groups["elapsed"].quantile(0.9),
            "images_per_minute": _ratio(sums["timed_images"], sums["minutes"]),
            "price": sums["price"],
            "price_per_image": _ratio(sums["price"], sums["priced_images"]),
        }
    )
    return table.astype(dict.fromkeys(table.columns, "Float64") | {"count": "Int64"})


def _ratio(part: pd.Series[Any], whole: pd.Series[Any]) -> pd.Series[Any]:
    return part / whole.where(whole > 0)
