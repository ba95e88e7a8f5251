"""Accuracy against flops: every network trained, with the range of its seeds."""

from typing import Any

import altair as alt

from scalesearch.report.content import GROUPS, Content, Row, finished
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    COSTS,
    Datum,
    Entry,
    Figure,
    colours,
    data,
    doublings,
    hiding,
    hover,
    present,
    shapes,
    tips,
)
from scalesearch.report.palette import LIGHT

SEED_TIPS = ("network", "seed", "loss", "accuracy")
ONE_AXIS = "one axis alone, scaled further"
FURTHER = "candidates, scaled further"
ENTRIES = (
    *(
        Entry(name, shade, {"chosen": "diamond", "1x baseline": "square"}.get(name, "circle"))
        for name, shade in GROUPS.items()
        if name != "stopped early"
    ),
    Entry(FURTHER, "tied", "triangle-up"),
    Entry(ONE_AXIS, "green", "triangle-down"),
)


def accuracy_against_flops(content: Content) -> Figure:
    """Validation accuracy of every network trained to the end, against its measured flops."""
    trained = [row for row in content.candidates if row.n]
    trained.sort(key=lambda row: (row.is_chosen, row.standing is not None))  # chosen on top
    means = [mean_row(row) for row in trained] + scaled_rows(content)
    entries = present(ENTRIES, means)
    what = content.metric.name if content.own else "validation accuracy"
    ends = f"{lowest(means):.1f} % to {highest(means):.1f} %"
    if content.own:
        ends = f"{lowest(means):.4f} to {highest(means):.4f}"
    base = content.plan.baseline.flops
    x = axis(means, base)
    y = alt.Y(
        "accuracy:Q",
        title=content.metric.name if content.own else "validation accuracy (%)",
        scale=alt.Scale(zero=False, padding=12),
    )
    shade = colours(entries)
    trials = alt.Chart(data(trial_rows(content))).mark_circle(size=30, opacity=0.7, aria=False)
    bars = alt.Chart(data(means)).mark_rule(strokeWidth=2, opacity=0.45)
    points = alt.Chart(data(means)).mark_point(filled=True, size=110, opacity=1)
    labels = alt.Chart(data(row for row in means if row["label"]))
    beside: Any = {"align": "left", "dx": 11, "dy": 1, "fontWeight": "bold"}
    halo: Any = {"stroke": LIGHT["paper"], "strokeWidth": 4, "strokeJoin": "round"}
    chart = hiding(
        bars.encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), shade),
        trials.encode(x, y, shade, tooltip=tips(SEED_TIPS, content)),
        points.encode(x, y, shade, shapes(entries), tooltip=tips(CANDIDATE_TIPS, content)),
        labels.mark_text(**beside, **halo).encode(x, y, alt.Text("label:N")),
        labels.mark_text(**beside).encode(x, y, alt.Text("label:N"), shade),
    )
    return Figure(
        "accuracy",
        f"{'Accuracy' if not content.own else content.metric.name} against flops",
        f"Scatter plot of {what} against measured flops on a log axis: {len(means)} networks, "
        f"from {ends}.",
        f"{what if content.own else 'Validation accuracy'} of every network that was trained to "
        "the end, against its measured flops. A large mark is the mean of the seeds, the bar their "
        "range, a dot one trial." + stopped_note(content),
        chart,
        entries,
    )


def axis(rows: list[Datum], base: float) -> alt.X:
    """A log axis of flops with ticks at the baseline's cost and its doublings."""
    low, high = min(r["flops"] for r in rows) / 1.12, max(r["flops"] for r in rows) * 1.5
    ticks = doublings(low, high, base)
    multiple = f"format(datum.value / {base!r}, '~r') + 'x'"
    return alt.X(
        "flops:Q",
        title=f"{COSTS['flops']}, log scale, and times the baseline's",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        axis=alt.Axis(values=ticks, labelExpr=f"[format(datum.value, '.3~s'), {multiple}]"),
    )


def mean_row(row: Row) -> Datum:
    """The mean and range in percent of a network that has trials, with what hovering says.

    A user's own metric is left as it is.
    """
    factor = 1 if row.own else 100
    assert row.accuracy is not None and row.accuracy_low is not None
    assert row.accuracy_high is not None
    return {
        "flops": row.network.flops,
        "accuracy": factor * row.accuracy,
        "low": factor * row.accuracy_low,
        "high": factor * row.accuracy_high,
        "group": row.group,
        "label": row.group if row.is_chosen or row.is_baseline else "",
        "tip": hover(row),
    }


def trial_rows(content: Content) -> list[Datum]:
    """One row for each trial that ran to its end on the validation split; accuracy in percent."""
    rows, known = [], content.rows
    for trial in finished(content.trials, "val").to_dict("records"):
        row = known.get(str(trial["candidate"]))
        if row is None:
            continue
        rows.append(
            {
                "name": row.name,
                "flops": row.network.flops,
                "loss": trial["loss"],
                "accuracy": (1 if content.own else 100) * trial["accuracy"],
                "group": row.group,
                "tip": {
                    "network": row.name,
                    "seed": str(trial["seed"]),
                    "loss": f"{trial['loss']:.4f}",
                    "accuracy": f"{trial['accuracy']:.2%}",
                },
            }
        )
    return rows


def scaled_rows(content: Content) -> list[Datum]:
    """The networks of a verification whose accuracies were kept, and single axes among them."""
    if content.transfer is None:
        return []
    return [
        {
            "flops": network.flops,
            "accuracy": 100 * accuracy.mean,
            "low": 100 * accuracy.low,
            "high": 100 * accuracy.high,
            "group": FURTHER if network.candidate else ONE_AXIS,
            "label": "" if network.candidate else network.label.removesuffix(" only"),
            "tip": {
                "network": network.label,
                "resolution": f"{network.resolution} px",
                "flops": f"{network.flops:,} ({network.ratio:.3f}x)",
                "loss": f"{network.loss:.4f}, {accuracy.n} seeds",
                "accuracy": f"{accuracy.mean:.2%}",
            },
        }
        for network, accuracy in ((row.network, row.accuracy) for row in content.transfer.networks)
        if accuracy is not None
    ]


def stopped_note(content: Content) -> str:
    """How many candidates have no accuracy at the end."""
    missing = sum(not row.n for row in content.candidates)
    return f" {missing} networks have no trial that ran to the end and are not shown." * bool(
        missing
    )


def lowest(rows: list[Datum]) -> float:
    """The lowest accuracy among rows, in percent."""
    return float(min(row["accuracy"] for row in rows))


def highest(rows: list[Datum]) -> float:
    """The highest accuracy among rows, in percent."""
    return float(max(row["accuracy"] for row in rows))
