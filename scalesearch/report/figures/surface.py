"""The surface over (alpha, beta, gamma): candidates in the plane of depth and width."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import altair as alt

from scalesearch.report.content import Content
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    HEIGHT,
    WIDTH,
    Figure,
    data,
    hover,
    tips,
)
from scalesearch.report.palette import LIGHT

LABELLED = 24  # points that can carry their gamma as text


def surface(content: Content) -> Figure:
    """Candidates by width and depth, coloured by loss; the 95 % set is ringed."""
    rows = placed([row for row in content.candidates if not row["is_baseline"]])
    step = alt.Axis(tickMinStep=0.05, format="~g", tickCount=6)
    x = alt.X(
        "beta:Q",
        title="beta (width)",
        axis=step,
        scale=alt.Scale(zero=False, padding=44, nice=False),
    )
    y = alt.Y(
        "alpha:Q",
        title="alpha (depth)",
        axis=step,
        scale=alt.Scale(zero=False, padding=34, nice=False),
    )
    loss = alt.Color(
        "loss:Q",
        title="loss (lower is better)",
        scale=alt.Scale(scheme="viridis", reverse=True, zero=False, nice=False),
        legend=alt.Legend(gradientLength=180, format=".3f", tickCount=3),
    )
    base = alt.Chart(data(rows))
    tip = tips((*CANDIDATE_TIPS, "gamma"))
    trained = alt.Chart(data(row for row in rows if row["loss"] is not None))
    layers = [
        base.mark_point(
            size=alt.expr("datum.in_set ? 520 : 0"),
            strokeWidth=2.5,
            color=LIGHT["chosen"],
            opacity=1,
        ).encode(x, y),
        base.mark_point(size=200, color=LIGHT["other"], opacity=1).encode(x, y, tooltip=tip),
        trained.mark_circle(size=230, opacity=1, stroke=LIGHT["muted"], strokeWidth=1).encode(
            x, y, loss, tooltip=tip
        ),
    ]
    if len(rows) <= LABELLED:
        layers.append(base.mark_text(dy=-21, fontSize=11).encode(x, y, alt.Text("text:N")))
    ringed = sum(row["in_set"] for row in rows)
    return Figure(
        "surface",
        "Loss over depth, width and resolution",
        f"{len(rows)} candidates in the plane of width (beta) and depth (alpha), coloured by "
        f"validation loss; {ringed} may be the best.",
        "Candidates by width and depth, coloured by loss, with gamma (resolution) beside each; "
        "those of one width and depth stand side by side. Rings mark the 95 % set; hollow marks "
        "were stopped or not trained to the end.",
        alt.LayerChart(layer=layers).properties(width=WIDTH, height=HEIGHT + 30),
    )


def placed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The candidates' places; those of the same width and depth are moved apart."""
    same: dict[tuple[float, float], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: float(row["gamma"])):
        same[row["alpha"], row["beta"]].append(row)
    betas = sorted({row["beta"] for row in rows})
    gaps = [after - before for before, after in pairwise(betas)]
    apart = min([0.12 * ((betas[-1] - betas[0]) or 0.5), *(0.5 * gap for gap in gaps)])
    return [
        {
            "alpha": row["alpha"],
            "beta": row["beta"] + apart * (i - (len(group) - 1) / 2),
            "loss": row["loss"],
            "in_set": bool(row["standing"] and row["standing"]["in_set"]),
            "text": f"γ {row['gamma']:g}",
            "tip": hover(row) | {"gamma": f"{row['gamma']:g}"},
        }
        for group in same.values()
        for i, row in enumerate(group)
    ]
