"""The surface over (alpha, beta, gamma): candidates in the plane of depth and width."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import altair as alt

from scalesearch.report.content import Content, Row
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    HEIGHT,
    WIDTH,
    Datum,
    Figure,
    data,
    hover,
    measured,
    tips,
)
from scalesearch.report.palette import LIGHT
from scalesearch.spaces.metric import Metric

LABELLED = 24  # points that can carry their gamma as text
NARROW = "width < 400"  # a figure on a phone
STEPS = alt.Axis(tickMinStep=0.05, format="~g", tickCount=6)


def surface(content: Content) -> Figure:
    """Candidates by width and depth, coloured by loss; the 95 % set and the choice are ringed."""
    rows = placed([row for row in content.candidates if not row.is_baseline])
    x = alt.X("beta:Q", title="beta (width)", axis=STEPS, scale=padded(44))
    y = alt.Y("alpha:Q", title="alpha (depth)", axis=STEPS, scale=padded(34))
    beside: Any = {"xOffset": alt.expr(f"datum.place * {spacing(rows)}")}
    base = alt.Chart(data(rows))
    tip = tips((*CANDIDATE_TIPS, "gamma"), content)
    layers = [
        *rings(rows, beside, x, y),
        base.mark_point(size=mark_size(200), color=LIGHT["other"], opacity=1, **beside).encode(
            x, y, tooltip=tip
        ),
        alt.Chart(data(row for row in rows if row["loss"] is not None))
        .mark_circle(size=mark_size(230), opacity=1, stroke=LIGHT["muted"], strokeWidth=1, **beside)
        .encode(x, y, loss_colour(content.metric), tooltip=tip),
    ]
    if len(rows) <= LABELLED:
        gamma = alt.expr(f"({NARROW} ? '' : 'γ ') + datum.tip.gamma")
        layers.append(base.mark_text(dy=-21, fontSize=11, text=gamma, **beside).encode(x, y))
    ringed = sum(row["in_set"] for row in rows)
    chosen = any(row["is_chosen"] for row in rows)
    return Figure(
        "surface",
        f"{content.metric.name if content.own else 'Loss'} over depth, width and resolution",
        f"{len(rows)} candidates in the plane of width (beta) and depth (alpha), coloured by "
        f"{measured(content, 'validation loss')}; {ringed} may be the best.",
        f"Candidates by width and depth, coloured by {content.metric.name}, with gamma "
        "(resolution) above each; those of one width and depth stand side by side. Rings mark the "
        "95 % set"
        + (", the thick one the choice" if chosen else "")
        + "; hollow marks were stopped or not trained to the end.",
        alt.LayerChart(layer=layers).properties(width=WIDTH, height=HEIGHT + 30),
    )


def padded(pixels: int) -> alt.Scale:
    """A scale of coefficients with so many pixels free at both ends."""
    return alt.Scale(zero=False, padding=pixels, nice=False)


def loss_colour(metric: Metric) -> alt.Color:
    """The colour of the loss, or of a study's own metric, with its bar."""
    return alt.Color(
        "loss:Q",
        title=f"{metric.name} ({metric.direction})",
        scale=alt.Scale(scheme="viridis", reverse=metric.goal == "min", zero=False, nice=False),
        legend=alt.Legend(gradientLength=180, format=".3f", tickCount=3),
    )


def rings(rows: list[Datum], beside: Datum, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A ring around each candidate of the 95 % set, and one with a word for the choice."""
    tied = alt.Chart(data(row for row in rows if row["in_set"] and not row["is_chosen"]))
    chosen = alt.Chart(data(row for row in rows if row["is_chosen"]))
    ring: Datum = {"size": mark_size(520), "opacity": 1, **beside}
    word: Datum = {"dy": 25, "fontWeight": "bold", "color": LIGHT["chosen"], **beside}
    return [
        tied.mark_point(strokeWidth=2, color=LIGHT["tied"], **ring).encode(x, y),
        chosen.mark_point(strokeWidth=4, color=LIGHT["chosen"], **ring).encode(x, y),
        chosen.mark_text(text="chosen", **word).encode(x, y),
    ]


def mark_size(area: int) -> alt.ExprRef:
    """The area of a mark in square pixels, half of it on a narrow page."""
    return alt.expr(f"{NARROW} ? {area // 2} : {area}")


def spacing(rows: list[Datum]) -> str:
    """How many pixels apart candidates of the same width and depth stand, as an expression.

    They stay nearer to their own width than to the next one that the grid has.
    """
    betas = sorted({row["beta"] for row in rows})
    gaps = [after - before for before, after in pairwise(betas)]
    most = max(2 * abs(row["place"]) + 1 for row in rows)
    share = min(gaps) / (betas[-1] - betas[0]) / most if gaps else 1
    return f"min({NARROW} ? 19 : 36, {share:.4f} * (width - 88))"


def placed(rows: list[Row]) -> list[Datum]:
    """The candidates as points; `place` tells those of the same width and depth apart: -1, 0, 1."""
    same: dict[tuple[float, float], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.network.gamma):
        same[row.network.alpha, row.network.beta].append(row)
    return [
        {
            "alpha": row.network.alpha,
            "beta": row.network.beta,
            "place": i - (len(group) - 1) / 2,
            "loss": row.loss,
            "in_set": bool(row.standing and row.standing.in_set),
            "is_chosen": row.is_chosen,
            "tip": hover(row) | {"gamma": f"{row.network.gamma:.4g}"},
        }
        for group in same.values()
        for i, row in enumerate(group)
    ]
