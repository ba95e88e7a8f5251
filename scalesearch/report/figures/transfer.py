"""The verification's figures: losses at the larger cost, and ranks at both."""

import altair as alt

from scalesearch.report.content import Content
from scalesearch.report.figures.figure import (
    FEW_TICKS,
    Datum,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    present,
    tips,
)
from scalesearch.report.figures.standing import height, names
from scalesearch.report.palette import LIGHT
from scalesearch.report.transfer import Transfer

ENTRIES = (Entry("candidate", "tied"), Entry("one axis alone", "green"))
PLACES = (-12, 14)  # of a name, in pixels below its point
TIPS = ("network", "resolution", "flops", "loss", "the law expects")


def larger_losses(transfer: Transfer) -> Figure:
    """Losses of the networks scaled up further, with intervals and what the law expects."""
    ratio = f"{transfer.document.ratio:g}x"
    rows: list[Datum] = [
        {
            "name": network.label,
            "group": row.group,
            "loss": network.loss,
            "low": network.interval[0],
            "high": network.interval[1],
            "predicted": row.predicted.predicted if row.predicted else None,
            "tip": {
                "network": network.label,
                "resolution": f"{network.resolution} px",
                "flops": f"{network.flops:,} ({network.ratio:.3f}x)",
                "loss": "{:.4f} ({:.4f} to {:.4f})".format(network.loss, *network.interval),
                "the law expects": f"{row.predicted.predicted:.4f}" if row.predicted else "nothing",
            },
        }
        for row in transfer.networks
        for network in [row.network]
    ]
    entries = present(ENTRIES, rows)
    title = f"validation loss at {ratio}, with 95 % interval"
    x = alt.X("loss:Q", title=title, scale=alt.Scale(zero=False, padding=10), axis=FEW_TICKS)
    y, shade, tip = names(row["name"] for row in rows), colours(entries), tips(TIPS)
    base = alt.Chart(data(rows))
    chart = hiding(
        base.mark_rule(strokeWidth=3).encode(
            alt.X("low:Q", title=title), alt.X2("high:Q"), y, shade, tooltip=tip
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(x, y, shade, tooltip=tip),
        base.transform_filter("datum.predicted !== null")
        .mark_tick(thickness=2, height=16, color=LIGHT["ink"])
        .encode(alt.X("predicted:Q", title=title), y, tooltip=tip),
        height=height(len(rows)),
    )
    return Figure(
        "transfer",
        f"Losses at {ratio}",
        f"Dot plot of the validation losses of {len(rows)} networks at {ratio}, best first: "
        f"{rows[0]['name']} is lowest with {rows[0]['loss']:.4f}.",
        f"The candidates and growth along one axis alone, scaled to {ratio} and trained. "
        "A thin upright bar is what the law fitted at phi = 1 expects.",
        chart,
        entries,
    )


def ranks(content: Content, transfer: Transfer) -> Figure:
    """The candidates' losses at phi = 1 against those at the larger phi."""
    losses = {row.key: row.loss for row in content.candidates if row.loss is not None}
    rows: list[Datum] = [
        {
            "name": network.label,
            "small": losses[network.candidate],
            "large": network.loss,
            "group": "candidate",
            "tip": {
                "network": network.label,
                "at phi = 1": f"{losses[network.candidate]:.4f}",
                "further": f"{network.loss:.4f}",
            },
        }
        for network in (row.network for row in transfer.networks)
        if network.candidate in losses
    ]
    for row, place in zip(rows, placed(rows), strict=True):
        row["place"] = place
    phi = f"{transfer.document.phi:g}"
    title = "validation loss at phi = 1"
    x = alt.X("small:Q", title=title, scale=roomy(rows, "small"), axis=FEW_TICKS)
    title = f"validation loss at phi = {phi}"
    y = alt.Y("large:Q", title=title, scale=roomy(rows, "large"))
    base = alt.Chart(data(rows))
    chart = hiding(
        base.mark_point(filled=True, size=90, opacity=1, color=LIGHT["tied"]).encode(
            x, y, tooltip=tips(("network", "at phi = 1", "further"))
        ),
        *(
            base.transform_filter(f"datum.place === {place}")
            .mark_text(dy=place, fontSize=11)
            .encode(x, y, alt.Text("name:N"))
            for place in PLACES
        ),
    )
    found = transfer.document.transfer
    return Figure(
        "ranks",
        "Does the order hold?",
        f"Scatter plot of {len(rows)} candidates' losses at phi = 1 and phi = {phi}; their rank "
        f"correlation is {found.rank_correlation:+.2f}.",
        "If the small study told the order at the larger cost, the points would rise from left to "
        "right. Names that would cover each other are left out.",
        chart,
    )


def roomy(rows: list[Datum], field: str) -> alt.Scale:
    """A scale over the rows' values, with a fifth of their range to spare at both ends."""
    values = [float(row[field]) for row in rows]
    room = (max(values) - min(values)) / 5 or 0.01
    return alt.Scale(domain=[min(values) - room, max(values) + room], nice=False)


def placed(rows: list[Datum]) -> list[int | None]:
    """How many pixels below its point each name stands; None where others leave it no room.

    Reckoned for a phone, where points are closest.
    """
    across = interpolated([float(row["small"]) for row in rows], 0, 150)
    down = interpolated([float(row["large"]) for row in rows], 190, 0)
    taken: list[tuple[float, float, float]] = []  # a name's middle and width, in pixels
    places: list[int | None] = []
    for row, x, y in zip(rows, across, down, strict=True):
        width = 6.5 * len(row["name"])
        free = (place for place in PLACES if clear((x, y + place, width), taken))
        places.append(next(free, None))
        taken += [(x, y + place, width) for place in places[-1:] if place is not None]
    return places


def clear(name: tuple[float, float, float], others: list[tuple[float, float, float]]) -> bool:
    """Whether a name covers none of the others."""
    x, y, width = name
    return all(
        abs(x - other) > (width + size) / 2 + 3 or abs(y - level) > 14
        for other, level, size in others
    )


def interpolated(values: list[float], first: float, last: float) -> list[float]:
    """Values as pixels, the lowest at `first` and the highest at `last`."""
    low, span = min(values), (max(values) - min(values)) or 1
    return [first + (last - first) * (value - low) / span for value in values]
