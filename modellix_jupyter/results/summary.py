"""Success, seconds and prices of tasks: as a table by model, and as plots."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modellix_jupyter.errors import InvalidRequest
from modellix_jupyter.results.frame import cells, check_columns, optional
from modellix_jupyter.values import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

# `success_rate` is a share of the tasks with these statuses.
ENDED = [status.value for status in Status if status.ended]

_NEEDED = ("status", "elapsed_s", "n_resources", "price", "charged")


def summarise(frame: pd.DataFrame, by: str | Sequence[str] = "model") -> pd.DataFrame:
    """Return one row for each group of tasks, with count, success rate, seconds, images and prices.

    A grouping column with the name of a measure is called ``by.NAME``. `price` is the sum of the
    charges if every success of the group has one, else the sum of the estimates: they are never
    added together. A rejected task costs nothing; the price of a failed task counts in
    `price_per_image`. Tasks of different services are in different groups, so that
    the sandbox's prices are never added to real ones.
    """
    keys = list(dict.fromkeys([by] if isinstance(by, str) else by))
    if not keys:
        raise InvalidRequest("A summary needs a column to group by.", "Say by='model', say.")
    check_columns(frame, [*keys, *_NEEDED])
    rows = frame.reset_index(drop=True)
    if "service" not in keys and "service" in rows and len(rows["service"].dropna().unique()) > 1:
        keys.append("service")
    groups = _parts(rows).groupby(
        [rows[key].rename(str(i)) for i, key in enumerate(keys)], dropna=False, observed=True
    )
    table = _measures(groups)
    names = [f"by.{key}" if key in table.columns else key for key in keys]
    table.index.names = names
    kinds = {name: rows[key].dtype for name, key in zip(names, keys, strict=True)}
    return table.reset_index().astype(kinds)


def _parts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers to sum; in each, a row that does not count is missing or 0."""
    import pandas as pd

    won = rows["status"].eq("success").fillna(value=False).astype(bool)
    sent = rows["status"].ne("rejected").fillna(value=True).astype(bool)
    elapsed = rows["elapsed_s"].astype("Float64")
    price = rows["price"].astype("Float64").where(sent)
    charged = rows["charged"].astype("Float64")
    images = rows["n_resources"].astype("Float64").fillna(0).where(won, 0)
    return pd.DataFrame(
        {
            "won": won.astype("Float64"),
            "ended": rows["status"].isin(ENDED).astype("Float64"),
            "elapsed": elapsed,
            "minutes": elapsed.where(won) / 60,
            "timed_images": images.where(elapsed.notna(), 0),
            "price": price,
            "charged": charged,
            "unbilled": (won & charged.isna()).astype("Float64"),
            "priced_images": images.where(price.notna() | charged.notna(), 0),
        }
    )


def _measures(groups: Any) -> pd.DataFrame:  # noqa: ANN401 - the stubs' type has no short name
    import pandas as pd

    sums = groups.sum(min_count=1)  # a sum of no values is unknown, not 0
    billed = sums["charged"].notna() & sums["unbilled"].eq(0)
    price = sums["charged"].where(billed, sums["price"])
    table = pd.DataFrame(
        {
            "count": groups.size(),
            "success_rate": _ratio(sums["won"], sums["ended"]),
            "median_s": groups["elapsed"].median(),
            "p90_s": groups["elapsed"].quantile(0.9),
            "images_per_minute": _ratio(sums["timed_images"], sums["minutes"]),
            "price": price,
            "price_per_image": _ratio(price, sums["priced_images"]),
        }
    )
    return table.astype(dict.fromkeys(table.columns, "Float64") | {"count": "Int64"})


def _ratio(part: pd.Series[Any], whole: pd.Series[Any]) -> pd.Series[Any]:
    return part / whole.where(whole > 0)


# The palette of Okabe and Ito, which people with any colour vision can distinguish; its yellow is
# left out, since it is hard to see on white.
BLUE, VERMILLION = "#0072B2", "#D55E00"
PALETTE = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "osD^vP"

_LONGEST = 44  # characters of a slug that are shown
_GOLDEN = 0.6180339887498949  # steps by it, modulo 1, spread evenly and never repeat

# Makes an empty figure.
_Make: TypeAlias = "Callable[..., Any]"


def plot(frame: pd.DataFrame, kind: Literal["seconds", "price", "success"] = "seconds") -> Axes:
    """Draw a table of tasks in a new figure, which a notebook shows automatically."""
    points = _points(frame, kind)
    plt = optional("matplotlib.pyplot", "Plotting", "plot")
    return _KINDS[kind][0](points, plt.figure)


def plot_png(
    frame: pd.DataFrame, kind: Literal["seconds", "price", "success"], *, ink: str = "#16181d"
) -> bytes:
    """Draw a table of tasks as a PNG with a transparent background."""
    points = _points(frame, kind)
    mpl = optional("matplotlib", "Plotting", "plot")
    figures = optional("matplotlib.figure", "Plotting", "plot")
    out = BytesIO()
    with mpl.rc_context(dict.fromkeys(_INKED, ink) | _PLAIN):
        figure: Any = _KINDS[kind][0](points, figures.Figure).figure
        figure.savefig(out, format="png", dpi=160)
    return out.getvalue()


_INKED = (
    *("text.color", "axes.labelcolor", "axes.edgecolor", "grid.color"),
    *("xtick.color", "ytick.color", "xtick.labelcolor", "ytick.labelcolor"),
)
_PLAIN = {"axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none"} | {
    "font.size": 11,
    "text.usetex": False,
}


def _points(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the tasks that a plot shows, or raise an error before anything is drawn."""
    import numpy as np
    import pandas as pd

    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise InvalidRequest(f"There is no plot of the kind {kind!r}.", f"Kinds: {known}.")
    _, measures, needs = _KINDS[kind]
    check_columns(frame, names := ["model", "status", "elapsed_s", "price"])
    points = pd.DataFrame({name: cells(frame[name]) for name in names})
    points["model"] = [_short(model or "(no model)") for model in points["model"]]
    points = points.astype({"elapsed_s": float, "price": float})
    points["won"] = points["status"].isin(["success"])
    if measures:
        points = points.replace([np.inf, -np.inf], np.nan).dropna(subset=measures)
    else:
        points = points[points["status"].isin(ENDED)]
    if points.empty:
        raise InvalidRequest(
            f"There is nothing to plot: no task of the table has {needs}.",
            "Wait for the tasks, or plot another table.",
        )
    return points


def _short(model: str) -> str:
    """Return a slug on one line, its middle left out if it is long."""
    flat = " ".join(model.split())
    half = _LONGEST // 2
    return flat if len(flat) <= _LONGEST else f"{flat[: half - 1]}…{flat[-half:]}"


def _canvas(rows: int, make: _Make) -> Axes:
    """Return empty axes for a number of rows, without the upper and the right border."""
    height = min(max(3.0, 1.5 + 0.7 * rows), 24)
    axes = make(figsize=(7.5, height), layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return axes  # type: ignore[no-any-return] # an optional module is untyped


def _name_rows(axes: Axes, names: list[str]) -> None:
    """Put the names on the left, the first at the top; a ``$`` in one is not a formula."""
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)


def _seconds(points: pd.DataFrame, make: _Make) -> Axes:
    models = points.groupby("model", sort=False)
    middles = models["elapsed_s"].median().sort_values(kind="stable")
    order = list(middles.index)
    axes: Any = _canvas(len(order), make)
    _name_rows(axes, order)
    # The points of a model differ in height, so that equal ones do not hide each other.
    steps = (models.cumcount() * _GOLDEN % 1 - 0.5) * 0.4
    heights = points["model"].map(order.index) + steps.where(
        models["model"].transform("size") > 1, 0
    )
    success = {"s": 46, "color": BLUE, "alpha": 0.85, "lw": 0, "label": "success"}
    other = {"s": 38, "color": VERMILLION, "marker": "x", "lw": 1.8, "label": "no success"}
    for shown, style in ((points["won"], success), (~points["won"], other)):
        if shown.any():
            axes.scatter(points["elapsed_s"][shown], heights[shown], zorder=3, **style)
    ink = axes.xaxis.label.get_color()  # readable in a dark style too
    # Below the points: the median of a single one is that point, and would hide it.
    bar = {"marker": "|", "color": ink, "lw": 2, "zorder": 1.5, "s": 420, "label": "median"}
    axes.scatter(middles, range(len(order)), **bar)
    style = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": "small"}
    for row, seconds in enumerate(middles):
        axes.annotate(f"{seconds:.3g} s", (seconds, row), (0, 12), **style)
    axes.set_ylim(len(order) - 0.5, -0.65)
    # A clock that was set back makes a time negative; such a point is shown, not cut off.
    axes.set_xlim(left=min(0.0, points["elapsed_s"].min()))
    axes.set_xlabel("time from submission to result (s)")
    _legend(axes, columns=3)
    return axes  # type: ignore[no-any-return] # its styles are not typed


def _legend(axes: Axes, columns: int) -> None:
    figure: Any = axes.figure
    legend = figure.legend(loc="outside lower center", ncols=columns, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _price(points: pd.DataFrame, make: _Make) -> Axes:
    models = points.groupby("model")
    axes = _canvas(4 + (len(models) + 1) // 3, make)
    for i, (model, group) in enumerate(models):
        # Each round of colours begins one marker later: a pair repeats only after 36 models.
        color, marker = PALETTE[i % 6], MARKERS[(i + i // 6) % 6]
        # Hollow, since models of one price lie on one line and must not hide each other.
        style: dict[str, Any] = {"edgecolors": color, "facecolors": "none", "marker": marker}
        axes.scatter(group["elapsed_s"], group["price"], s=34, lw=1.3, label=model, **style)
    axes.grid(alpha=0.3)
    axes.margins(0.06, 0.1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("time from submission to result (s)")
    axes.set_ylabel("price of a task (USD)")
    _legend(axes, columns=2 if len(models) > 1 else 1)
    return axes


def _success(points: pd.DataFrame, make: _Make) -> Axes:
    models = points.groupby("model")["won"].agg(["sum", "size", "mean"])
    models = models.sort_values(["mean", "model"], ascending=[False, True])
    axes = _canvas(len(models), make)
    _name_rows(axes, list(models.index))
    axes.barh(range(len(models)), 100, height=0.55, color="#888888", alpha=0.15)
    axes.barh(range(len(models)), 100 * models["mean"], height=0.55, color=BLUE)
    for row, (won, count) in enumerate(zip(models["sum"], models["size"], strict=True)):
        text = f"{won} of {count}"
        axes.text(1.015, row, text, va="center", transform=axes.get_yaxis_transform())
    axes.set_xlim(0, 100)
    axes.set_xlabel("success (% of the tasks that ended)")
    return axes


# For each plot: its function, the measures that a task must have, and the words for them.
_KINDS: dict[str, tuple[Callable[[pd.DataFrame, _Make], Axes], list[str], str]] = {
    "seconds": (_seconds, ["elapsed_s"], "ended after it was submitted"),
    "price": (_price, ["elapsed_s", "price"], "both a price and a time"),
    "success": (_success, [], "ended"),
}
# The kinds of plot.
KINDS = tuple(_KINDS)
