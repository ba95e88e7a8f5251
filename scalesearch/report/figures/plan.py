"""The plan: what the paper's formula says a network costs, and what it does cost."""

import altair as alt

from scalesearch.report.content import Content, GridPoint, Row, point_name
from scalesearch.report.figures.figure import (
    Datum,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    hover,
    present,
    shapes,
    tips,
)
from scalesearch.report.palette import LIGHT

WITHIN, OUTSIDE, LINE = "within the budget", "outside the budget", "measured = nominal"
ENTRIES = (Entry(WITHIN, "chosen", "diamond"), Entry(OUTSIDE, "other"))
MOST = 1500  # networks outside the budget that are shown
TIPS = ("network", "nominal", "measured", "depths", "resolution", "flops")


def nominal_against_measured(content: Content) -> Figure:
    """Measured cost against nominal cost, both times the baseline's, of every distinct network."""
    plan = content.plan
    rows = [inside(row) for row in content.candidates if not row.is_baseline]
    left_out = [point for point in content.grid if not point.feasible]
    every = max(1, -(-len(left_out) // MOST))  # a page is to stay small
    rows = [outside(point) for point in left_out[::every]] + rows
    entries = present(ENTRIES, rows)
    values = [row[name] for row in rows for name in ("nominal", "measured")]
    low, high = min([*values, plan.ratio]) / 1.06, max([*values, plan.ratio]) * 1.06
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = alt.Axis(format="~g", tickCount=6, labelExpr="format(datum.value, '~g') + 'x'")
    x = alt.X("nominal:Q", title="nominal cost, alpha · beta² · gamma²", scale=scale, axis=ticks)
    y = alt.Y("measured:Q", title="measured cost", scale=scale, axis=ticks)
    band = [
        {
            "low": plan.ratio * (1 - plan.tolerance),
            "high": plan.ratio * (1 + plan.tolerance),
        }
    ]
    ends = [{"nominal": v, "measured": v} for v in (low, high)]
    points = alt.Chart(data(rows)).mark_point(filled=True, size=60, opacity=0.9)
    budget = alt.Chart(data(band)).mark_rect(color=LIGHT["chosen"], opacity=0.16)
    equal = alt.Chart(data(ends)).mark_line(
        color=LIGHT["muted"], strokeDash=[5, 4], strokeWidth=1.2
    )
    chart = hiding(
        budget.encode(alt.Y("low:Q", scale=scale), alt.Y2("high:Q")),
        equal.encode(x, y),
        points.encode(x, y, colours(entries), shapes(entries), tooltip=tips(TIPS)),
    )
    costs = [row["measured"] for row in rows]
    return Figure(
        "plan",
        "Nominal against measured cost",
        f"Scatter plot of measured against nominal cost of {len(rows)} networks, from "
        f"{min(costs):.2f}x to {max(costs):.2f}x; a band marks the budget of {plan.budget}.",
        "What the formula says that a network costs, against what it does cost. The band is the "
        "budget with its tolerance; on the dashed line the formula is right."
        + ("" if content.grid else " Only networks within the budget were kept in this study.")
        + (f" Of those outside the budget every {every}th is shown." if every > 1 else ""),
        chart,
        entries,
    )


def inside(row: Row) -> Datum:
    """A candidate as a point."""
    nominal, measured = row.network.nominal, row.network.ratio
    tip = hover(row) | {"nominal": f"{nominal:.3f}x", "measured": f"{measured:.3f}x"}
    return {"nominal": nominal, "measured": measured, "group": WITHIN, "tip": tip}


def outside(point: GridPoint) -> Datum:
    """A network of the grid that the budget leaves out, as a point."""
    return {
        "nominal": point.nominal,
        "measured": point.ratio,
        "group": OUTSIDE,
        "tip": {
            "network": point_name(point),
            "nominal": f"{point.nominal:.3f}x",
            "measured": f"{point.ratio:.3f}x",
        },
    }
