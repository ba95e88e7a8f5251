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
    rows.sort(key=lambda row: float(row["small"]))
    for i, row in enumerate(rows):
        row["below"] = i % 2 == 1  # neighbours' labels keep clear of each other
    phi = f"{transfer.document.phi:g}"
    scale = alt.Scale(zero=False, padding=30)
    x = alt.X("small:Q", title="validation loss at phi = 1", scale=scale, axis=FEW_TICKS)
    y = alt.Y("large:Q", title=f"validation loss at phi = {phi}", scale=scale)
    base = alt.Chart(data(rows))
    chart = hiding(
        base.mark_point(filled=True, size=90, opacity=1, color=LIGHT["tied"]).encode(
            x, y, tooltip=tips(("network", "at phi = 1", "further"))
        ),
        *(
            base.transform_filter(f"datum.below === {below}")
            .mark_text(dy=dy, fontSize=11)
            .encode(x, y, alt.Text("name:N"))
            for below, dy in (("false", -12), ("true", 14))
        ),
    )
    found = transfer.document.transfer
    return Figure(
        "ranks",
        "Does the order hold?",
        f"Scatter plot of {len(rows)} candidates' losses at phi = 1 and phi = {phi}; their rank "
        f"correlation is {found.rank_correlation:+.2f}.",
        "If the small study told the order at the larger cost, the points would rise from left to "
        "right.",
        chart,
    )
