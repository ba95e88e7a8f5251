"""The front: accuracy of trained networks against what they cost, a line for each family."""

from collections.abc import Sequence
from dataclasses import replace

import altair as alt

from scalesearch.families.front import Front, FrontRow
from scalesearch.families.lines import family_named
from scalesearch.families.trained import Kind, Line
from scalesearch.report.figures.figure import (
    COSTS,
    Datum,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    log_cost,
    present,
    shapes,
    tips,
)
from scalesearch.report.figures.published import published, published_rows
from scalesearch.report.words import AGAINST, level_text, listed
from scalesearch.spaces.metric import Metric
from scalesearch.units import counted, milliseconds, short

COLOURS = ("tied", "green", "purple", "teal", "brown", "pink", "other")
SHAPES: dict[Kind, str] = {
    "family": "diamond",
    "matched": "circle",
    "axis": "triangle-up",
    "zoo": "circle",
}
AGAIN = "square"  # the mark of a line whose colour another has
DASHES = [5, 4]


def fronts(front: Front) -> list[Figure]:
    """Accuracy against each cost, and what others published of the same families against it."""
    families = {family for line in front.lines if (family := family_named(line.name))}
    figures = [against(front, cost) for cost in costs_of(front)]
    rows = [row for row in published_rows() if row["family"] in families]
    if rows and front.metric is None:
        figures += [published_beside(cost, rows) for cost in COSTS]
    return figures


def published_beside(cost: str, rows: Sequence[Datum]) -> Figure:
    """What others published of the front's families, in a panel of its own beside the front."""
    drawn = published(cost, rows)
    families = listed([entry.label for entry in drawn.legend])
    return replace(
        drawn,
        name=f"front_published_{cost}",
        title=f"Published, ImageNet: top-1 against {AGAINST[cost]}",
        alt=f"Scatter plot of published ImageNet top-1 accuracy against {COSTS[cost]} on a log "
        f"axis: {counted(len(rows), 'model')} of {families}.",
        caption=f"For orientation, {families} as others published them: trained on ImageNet, at "
        "full size and by recipes that differ. Nothing of it was measured here but the costs.",
    )


def costs_of(front: Front) -> dict[str, str]:
    """What accuracy is drawn against, and what that is in words: latency where it was timed."""
    if front.timed is None:
        return COSTS
    batch, device = front.timed.batch, front.timed.device
    return {**COSTS, "ms": f"ms of {counted(batch, 'image')} on {device}"}


def entries_of(front: Front) -> tuple[Entry, ...]:
    """A legend's entry for each line: the family in the colour of what was chosen.

    Where the colours come again their marks are others.
    """
    entries, others = [], 0
    for line in front.lines:
        if line.kind == "family":
            entries.append(Entry(line.name, "chosen", SHAPES[line.kind]))
            continue
        again, place = divmod(others, len(COLOURS))
        entries.append(Entry(line.name, COLOURS[place], AGAIN if again else SHAPES[line.kind]))
        others += 1
    return tuple(entries)


def against(front: Front, cost: str) -> Figure:
    """Validation accuracy against one cost on a log axis, with the intervals over seeds."""
    every_mark = [mark(front, line, name) for line in front.lines for name in line.members]
    drawn = [row for row in every_mark if row[cost] is not None]
    entries = present(entries_of(front), drawn)
    cost_text = costs_of(front)[cost]
    x = log_cost(drawn, cost, cost_text)
    metric = front.metric
    name = metric.name if metric else "accuracy"
    what = f"validation {name}" if metric is None else name
    title = f"{what} (%)" if metric is None else f"{name}, {metric.direction}"
    y = alt.Y("accuracy:Q", title=title, scale=alt.Scale(zero=False, padding=12))
    shade = colours(entries)
    solid = alt.Chart(data(row for row in drawn if not row["axis"]))
    dashed = alt.Chart(data(row for row in drawn if row["axis"]))
    every = alt.Chart(data(drawn))
    chart = hiding(
        every.mark_rule(strokeWidth=2, opacity=0.4).encode(
            x, alt.Y("low:Q", title=title), alt.Y2("high:Q"), shade
        ),
        solid.mark_line(strokeWidth=2).encode(x, y, shade),
        dashed.mark_line(strokeWidth=1.5, strokeDash=DASHES).encode(x, y, shade),
        every.mark_point(filled=True, size=80, opacity=1).encode(
            x,
            y,
            shade,
            shapes(entries),
            tooltip=[
                *tips(("network", "line", "resolution", "flops", "params", "activations")),
                *(tips(("latency",)) if front.timed else ()),
                alt.Tooltip("tip.accuracy:N", title=name),
            ],
        ),
        height=380,
    )
    ends = [f(r["accuracy"] for r in drawn) for f in (min, max)]
    lowest, highest = (f"{end:.1f} %" if metric is None else f"{end:.4g}" for end in ends)
    images = front.images
    if front.held_out:
        images = f"{front.held_out:,} images held out of {front.images}"
    heading = what[0].upper() + what[1:]
    networks = len({row["tip"]["network"] for row in drawn})
    return Figure(
        f"front_{cost}",
        f"The front: {name} against {AGAINST[cost]}",
        f"Lines of {what} against {cost_text} on a log axis: {counted(networks, 'network')} in "
        f"{counted(len(entries), 'line')}, from {lowest} to {highest}.",
        f"{heading} of every network that was trained, on {images}, against {cost_text}. A mark "
        "is fitted over the seeds, the bar its 95 % interval; lines are families, dashed ones grow "
        "along one axis alone.",
        chart,
        entries,
    )


def mark(front: Front, line: Line, name: str) -> Datum:
    """A network on its line, in percent, or in a metric of the user's own."""
    row, by = front.row(name), 100 if front.metric is None else 1
    low, high = row.interval or (row.accuracy, row.accuracy)
    return {
        **{cost: getattr(row, cost) for cost in AGAINST},
        "accuracy": by * row.accuracy,
        "low": by * low,
        "high": by * high,
        "group": line.name,
        "axis": line.kind == "axis",
        "tip": tip(row, line, front.metric),
    }


def tip(row: FrontRow, line: Line, metric: Metric | None) -> dict[str, str]:
    """What a network says when the pointer is on it."""
    return {
        "network": row.name,
        "line": line.name,
        "resolution": f"{row.resolution} px",
        "flops": short(row.flops),
        "params": short(row.params),
        "activations": short(row.activations),
        "latency": f"{milliseconds(row.ms, row.ms_low, row.ms_high)} ms" if row.ms else "not timed",
        "accuracy": f"{level_text(row.accuracy, metric)}, {row.seeds} seeds",
    }
