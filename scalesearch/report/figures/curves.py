"""Learning curves and the spread of the seeds."""

import altair as alt

from scalesearch.report.content import Content
from scalesearch.report.figures.accuracy import SEED_TIPS, trial_rows
from scalesearch.report.figures.figure import (
    CANDIDATE_TIPS,
    FEW_TICKS,
    Datum,
    Figure,
    colours,
    data,
    hiding,
    hover,
    measured,
    present,
    tips,
)
from scalesearch.report.figures.standing import ENTRIES, MOST, height, names

FEW = 12  # networks whose curves can be told apart


def learning_curves(content: Content) -> Figure:
    """Validation loss after each epoch, a line for each trial."""
    known = [row for row in content.candidates if row.n or row.stopped or row.standing]
    known = known or [*content.candidates]
    shown = [row for row in known if not row.is_baseline][:FEW]
    shown += [row for row in content.candidates if row.is_baseline]
    # the last lines lie on top
    shown.sort(key=lambda row: (row.is_chosen, row.is_baseline, row.standing is not None))
    rows = [
        {
            "epoch": int(epoch["epoch"]),
            "loss": float(epoch["loss"]),
            "group": row.group,
            "trial": f"{row.key}-{epoch['seed']}",
            "tip": {
                "network": row.name,
                "seed": str(epoch["seed"]),
                "epoch": str(epoch["epoch"]),
                "loss": f"{epoch['loss']:.4f}",
                "accuracy": f"{epoch['accuracy']:.2%}",
            },
        }
        for row in shown
        for epoch in content.curves[content.curves["candidate"] == row.key].to_dict("records")
    ]
    entries = present(ENTRIES, rows)
    x = alt.X(
        "epoch:Q",
        title="epoch",
        scale=alt.Scale(nice=False, padding=10),
        axis=alt.Axis(tickMinStep=1, format="d"),
    )
    y = alt.Y(
        "loss:Q",
        title=content.metric.name if content.own else "validation cross-entropy, log scale",
        # a user's own metric may be zero, or less
        scale=alt.Scale(type="linear", zero=False, padding=8)
        if content.own
        else alt.Scale(type="log", nice=False, padding=8),
    )
    base = alt.Chart(data(rows))
    shade = colours(entries)
    tip = tips(("network", "seed", "epoch", "loss", "accuracy"), content)
    # of stroke and fill: for the opacity of a whole mark a renderer clears a layer, 7 ms each
    chart = hiding(
        base.mark_line(strokeWidth=1.4, opacity=1, strokeOpacity=0.75, aria=False).encode(
            x, y, shade, alt.Detail("trial:N")
        ),
        base.mark_circle(size=26, opacity=1, fillOpacity=0.75, aria=False).encode(
            x, y, shade, tooltip=tip
        ),
    )
    what = measured(content, "validation loss")
    log = "" if content.own else " on a log axis"
    left_out = len(known) - len(shown)
    more = f" {left_out} networks are left out." if left_out > 0 else ""
    trials = len({row["trial"] for row in rows})
    return Figure(
        "curves",
        "Learning curves",
        f"Line chart of {what} by epoch{log}, {trials} trials.",
        f"{measured(content, 'Validation loss')} after each epoch, a line for each trial.{more}",
        chart,
        entries,
    )


def seed_spread(content: Content) -> Figure:
    """Every seed's loss at the end, by network."""
    known = content.rows
    shown = [row for row in content.candidates if row.n]
    shown = [row for row in shown if not row.is_baseline][:MOST] + [
        row for row in shown if row.is_baseline
    ]
    named = {row.name for row in shown}
    rows = [row for row in trial_rows(content) if row["name"] in named]
    means: list[Datum] = [
        {"name": row.name, "loss": row.loss, "group": row.group, "tip": hover(row)} for row in shown
    ]
    entries = present(ENTRIES, rows)
    x = alt.X(
        "loss:Q",
        title=measured(content, "validation cross-entropy after the last epoch"),
        scale=alt.Scale(zero=False, padding=10),
        axis=FEW_TICKS,
    )
    y, shade = names(row.name for row in shown), colours(entries)
    chart = hiding(
        alt.Chart(data(rows))
        .mark_circle(size=60, opacity=1, fillOpacity=0.6, aria=False)
        .encode(x, y, shade, tooltip=tips(SEED_TIPS, content)),
        alt.Chart(data(means))
        .mark_tick(thickness=3, height=18)
        .encode(x, y, shade, tooltip=tips(CANDIDATE_TIPS, content)),
        height=height(len(shown)),
    )
    selection = content.selection
    spread = f" The noise of one trial is {selection.noise:.4f}." if selection else ""
    return Figure(
        "seeds",
        "Spread of the seeds",
        measured(
            content,
            f"Strip plot of the loss of every seed of {len(shown)} of {len(known)} networks.",
        ),
        measured(content, "The loss of every seed as a dot, what is fitted over them as a bar.")
        + spread,
        chart,
        entries,
    )
