"""How the candidates stand: differences to the leader, and who may be the best."""

from collections.abc import Iterable

import altair as alt

from scalesearch.report.content import GROUPS, Content, Row
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    FEW_TICKS,
    Datum,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    hover,
    measured,
    present,
    tips,
)
from scalesearch.report.palette import LIGHT
from scalesearch.report.words import signed
from scalesearch.selection.ranking import Standing

MOST = 30  # rows that a figure can name; tables have all
ENTRIES = tuple(Entry(name, shade) for name, shade in GROUPS.items())


def ranked(content: Content) -> list[tuple[Row, Standing]]:
    """The first candidates that were compared, best first, and how they stand."""
    found = [(row, row.standing) for row in content.candidates if row.standing]
    return found[:MOST]


def names(ordered: Iterable[str]) -> alt.Y:
    """An axis of networks, by their names in that order."""
    return alt.Y("name:N", title=None, sort=[*ordered])


def height(count: int) -> int:
    """How high a figure with so many lines is."""
    return 24 * count + 20


def differences(content: Content) -> Figure:
    """Each candidate's paired loss difference to the leader, with its interval."""
    rows: list[Datum] = [
        {
            "name": row.name,
            "group": row.group,
            "difference": standing.difference,
            "low": standing.interval[0],
            "high": standing.interval[1],
            "tip": hover(row)
            | {"difference": f"{standing.difference:+.4f} ({signed(standing.interval)})"},
        }
        for row, standing in ranked(content)
    ]
    entries = present(ENTRIES, rows)
    y, shade = names(row["name"] for row in rows), colours(entries)
    title = measured(content, "validation loss minus the leader's, with 95 % interval")
    x = alt.X("difference:Q", title=title, axis=FEW_TICKS, scale=alt.Scale(padding=14))
    base = alt.Chart(data(rows))
    tip = tips((*CANDIDATE_TIPS, "difference"), content)
    zero = alt.Chart(data([{"zero": 0, "group": ""}])).mark_rule(color=LIGHT["muted"])
    chart = hiding(
        zero.encode(alt.X("zero:Q", title=title)),
        base.mark_rule(strokeWidth=3).encode(
            alt.X("low:Q", title=title), alt.X2("high:Q"), y, shade, tooltip=tip
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(x, y, shade, tooltip=tip),
        height=height(len(rows)),
    )
    largest = max((row["difference"] for row in rows), key=abs)
    return Figure(
        "losses",
        "Differences to the leader",
        measured(content, f"Dot plot of {len(rows)} candidates' loss differences to the leader ")
        + f"with 95 % intervals; the largest is {largest:.4f}.",
        measured(content, "Paired differences of the loss to the leader's, within seeds; ")
        + "an interval across zero means that the two are not told apart."
        + truncated(content),
        chart,
        entries,
    )


def chances(content: Content) -> Figure:
    """P(best) of each candidate as bars."""
    rows: list[Datum] = [
        {
            "name": row.name,
            "group": row.group,
            "p_best": standing.p_best,
            "text": share(standing.p_best),
            "tip": hover(row),
        }
        for row, standing in ranked(content)
    ]
    entries = present(ENTRIES, rows)
    x = alt.X(
        "p_best:Q",
        title="P(best)",
        scale=alt.Scale(domain=[0, 1.08], nice=False),
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    base = alt.Chart(data(rows))
    y = names(row["name"] for row in rows)
    chart = hiding(
        base.mark_bar(height={"band": 0.6}).encode(
            x, y, colours(entries), tooltip=tips(CANDIDATE_TIPS, content)
        ),
        base.mark_text(align="left", dx=5, color=LIGHT["ink"]).encode(x, y, alt.Text("text:N")),
        height=height(len(rows)),
    )
    best = max(rows, key=lambda row: row["p_best"])
    return Figure(
        "p_best",
        "Who may be the best",
        f"Bar chart of each candidate's probability of being the best; {best['name']} has "
        f"{best['text']}.",
        "The share of 4,000 draws, of seeds and validation images, in which a candidate has the "
        f"{lowest(content)}.{truncated(content)}",
        chart,
        entries,
    )


def lowest(content: Content) -> str:
    """What the best candidate has, in words."""
    if not content.own:
        return "lowest loss"
    return f"{'lowest' if content.metric.goal == 'min' else 'highest'} {content.metric.name}"


def share(value: float) -> str:
    """A share in whole percent; what is little is not called none."""
    return "<1%" if 0 < value < 0.005 else f"{value:.0%}"


def truncated(content: Content) -> str:
    """That a figure shows the first candidates alone, where it does."""
    count = sum(bool(row.standing) for row in content.candidates)
    return f" The first {MOST} of {count} are shown; the table has all." * (count > MOST)
