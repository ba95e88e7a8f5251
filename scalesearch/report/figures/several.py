"""Accuracy against flops of several studies in one figure."""

from collections.abc import Sequence

import altair as alt

from scalesearch.report.content import Content
from scalesearch.report.figures.accuracy import mean_row
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    log_cost,
    present,
    tips,
)

COLOURS = ("tied", "chosen", "green", "purple", "teal", "brown", "pink", "other", "ink")
BASELINE, CHOSEN, OTHER = "1x baseline", "chosen", "other candidates"
SHAPES = {BASELINE: "square", CHOSEN: "diamond", OTHER: "circle"}


def accuracies(labels: Sequence[str], studies: Sequence[Content]) -> list[Figure]:
    """Validation accuracy of every network trained to the end in any of the studies, if any."""
    rows = [
        mean_row(row)
        | {
            "group": label,
            "kind": BASELINE if row.is_baseline else CHOSEN if row.is_chosen else OTHER,
        }
        for label, study in zip(labels, studies, strict=True)
        for row in study.candidates
        if row.n and not row.own
    ]
    if not rows:
        return []
    for row in rows:
        row["tip"] = {"study": row["group"], **row["tip"]}
    entries = present(
        [Entry(label, COLOURS[i % len(COLOURS)]) for i, label in enumerate(labels)], rows
    )
    x = log_cost(rows)
    y = alt.Y(
        "accuracy:Q", title="validation accuracy (%)", scale=alt.Scale(zero=False, padding=12)
    )
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=[*SHAPES], range=[*SHAPES.values()]), legend=None
    )
    base, shade = alt.Chart(data(rows)), colours(entries)
    chart = hiding(
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            x, alt.Y("low:Q", title="validation accuracy (%)"), alt.Y2("high:Q"), shade
        ),
        base.mark_point(filled=True, size=100, opacity=1).encode(
            x, y, shade, shape, tooltip=tips(("study", *CANDIDATE_TIPS))
        ),
    )
    caption = (
        "Validation accuracy of every network that was trained to the end, against its measured "
        "flops: squares are the 1x baselines, diamonds the choices, circles the other candidates; "
        "bars are the range of the seeds."
    )
    return [
        Figure(
            "accuracy",
            "Accuracy against flops",
            f"Scatter plot of validation accuracy against measured flops on a log axis, "
            f"{len(rows)} networks of {len(entries)} studies.",
            caption,
            chart,
            entries,
        )
    ]
