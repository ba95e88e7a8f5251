"""What a figure is, and what all of them share: style, names, legends that hide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from scalesearch.files import Keys
from scalesearch.report.content import Content, Row
from scalesearch.report.palette import LIGHT
from scalesearch.units import short

Datum = dict[str, Any]  # what a chart draws of one mark: its fields, and in `tip` what it says
WIDTH, HEIGHT = 640, 330
FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
CONFIG: Keys = {
    "font": FONT,
    "background": LIGHT["paper"],
    "view": {"stroke": None},
    "axis": {
        "domainColor": LIGHT["muted"],
        "tickColor": LIGHT["muted"],
        "gridColor": LIGHT["line"],
        "labelColor": LIGHT["ink"],
        "titleColor": LIGHT["ink"],
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 240,
        "labelSeparation": 5,
    },
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": LIGHT["ink"],
        "titleColor": LIGHT["ink"],
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 260,
        "symbolOpacity": 1,
        "columns": 3,
    },
    "text": {"color": LIGHT["ink"], "fontSize": 12},
    "rule": {"color": LIGHT["muted"]},
}
# the signal that the page's legend sets: what its reader has hidden
HIDDEN = "hidden"
HIDE = f"indexof({HIDDEN}, datum.group) < 0"

FEW_TICKS = alt.Axis(tickCount=7)

Chart = alt.Chart | alt.LayerChart


@dataclass(frozen=True, slots=True)
class Entry:
    """A legend's entry: what it says, its colour in the palette, its symbol."""

    label: str
    colour: str
    shape: str = "circle"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, its alternative text, its caption, and the legend that the page draws for it."""

    name: str
    title: str
    alt: str
    caption: str
    chart: Chart
    legend: tuple[Entry, ...] = ()

    @property
    def spec(self) -> Keys:
        """The specification as plain data."""
        # Vega-Lite itself says what it cannot draw; altair's look at its schema takes longer
        spec: Keys = self.chart.to_dict(validate=False)
        return {**spec, "config": CONFIG, "description": self.alt}


def data(rows: Iterable[Datum]) -> Any:
    """Rows as the data of a chart: plain, for of its own class altair checks every value."""
    return {"values": list(rows)}


def hiding(*layers: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Layers on top of each other, without the groups that the reader hides."""
    hidden = alt.param(name=HIDDEN, value=[])
    shown = [layer.transform_filter(HIDE) for layer in layers]
    chart = alt.LayerChart(layer=shown).add_params(hidden)
    return chart.properties(width=WIDTH, height=height)


def colours(entries: Sequence[Entry], legend: bool = True) -> alt.Color:
    """The colour of `group`, for those entries."""
    return alt.Color(
        "group:N",
        scale=alt.Scale(
            domain=[entry.label for entry in entries],
            range=[LIGHT[entry.colour] for entry in entries],
        ),
        legend=alt.Legend() if legend else None,
    )


def shapes(entries: Sequence[Entry]) -> alt.Shape:
    """The symbol of `group`, for those entries."""
    return alt.Shape(
        "group:N",
        scale=alt.Scale(
            domain=[entry.label for entry in entries], range=[entry.shape for entry in entries]
        ),
    )


def present(entries: Iterable[Entry], rows: Sequence[Datum]) -> tuple[Entry, ...]:
    """The entries of which there are rows."""
    groups = {row["group"] for row in rows}
    return tuple(entry for entry in entries if entry.label in groups)


def log_cost(rows: Sequence[Datum], field: str = "flops", title: str | None = None) -> alt.X:
    """A log axis of a cost, with a little room at both ends; `title` is not the usual."""
    values = [row[field] for row in rows]
    low, high = min(values) / 1.4, max(values) * 1.4
    steps = (1, 2, 5) if high > 30 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    ticks = [d * 10.0**k for k in range(-4, 16) for d in steps if low <= d * 10.0**k <= high]
    return alt.X(
        f"{field}:Q",
        title=f"{title or COSTS[field]}, log scale",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(
            format="~s" if low >= 1 else "~g", values=ticks, labelOverlap="greedy", labelFlush=False
        ),
    )


COSTS = {
    "flops": "flops (multiply-adds, measured)",
    "params": "parameters",
    "activations": "activations",
}


def doublings(low: float, high: float, base: float) -> list[float]:
    """Ticks at the baseline's cost times powers of two, between two values."""
    ticks = [base * 2.0**k for k in range(-8, 17)]
    return [tick for tick in ticks if low <= tick <= high]


def hover(row: Row) -> dict[str, str]:
    """What a candidate's row says when the pointer is on it."""
    network = row.network
    found = {
        "network": row.name,
        "state": row.group,
        "depths": " ".join(map(str, network.depths)),
        "resolution": f"{network.resolution} px",
        "flops": f"{short(network.flops)} ({network.flops_ratio:.3f}x)",
        "params": short(network.params),
        "activations": short(network.activations),
    }
    if row.loss is not None:
        found["loss"] = f"{row.loss:.4f}, {row.n} seeds"
    if row.accuracy is not None and not row.own:
        found["accuracy"] = f"{row.accuracy:.2%}"
    if row.standing:
        found["P(best)"] = f"{row.standing.p_best:.1%}"
    return found


def tips(fields: Iterable[str], content: Content | None = None) -> list[alt.Tooltip]:
    """Tooltips of text fields by their own names; of a user's own training the metric's alone."""
    own = content is not None and content.own
    shown = [field for field in fields if not (own and field == "accuracy")]
    titles = {"loss": content.metric.name if content else "loss"}
    return [alt.Tooltip(f"tip.{field}:N", title=titles.get(field, field)) for field in shown]


def measured(content: Content, what: str) -> str:
    """Words on a loss, the metric's name in its place where a user's own function trained."""
    if not content.own:
        return what
    for words in ("validation cross-entropy", "Validation loss", "validation loss", "loss"):
        what = what.replace(words, content.metric.name)
    return what


CANDIDATE_TIPS = (
    *("network", "state", "depths", "resolution", "flops", "params", "activations"),
    *("loss", "accuracy", "P(best)"),
)
