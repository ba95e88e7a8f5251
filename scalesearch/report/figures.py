"""The report's figures, drawn by matplotlib as SVG and PNG."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # figures are files here, never windows

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scalesearch.report.content import Content

INK, MUTED, CHOSEN, TIED, OTHER = "#1b2430", "#6b7785", "#c2410c", "#2563ab", "#9aa8b8"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "scalesearch",  # the same study draws the same file
}


def draw_figures(content: Content, folder: Path) -> dict[str, str]:
    """The SVG text of each figure by name; SVG and PNG files are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        drawn = {
            "accuracy": accuracy_against_flops(content),
            "losses": losses_of_candidates(content),
            "curves": learning_curves(content),
        }
        return {name: save(figure, folder / name) for name, figure in drawn.items()}


def save(figure: Figure, path: Path) -> str:
    """Write a figure as SVG and PNG; the SVG's text, fit to stand inside HTML."""
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=160)
    plt.close(figure)
    text = path.with_suffix(".svg").read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def colour(content: Content, row: dict[str, Any]) -> str:
    """A network's colour: chosen, tied with the leader, or neither."""
    if row["key"] == content.selection["chosen"] and content.selection["recommended"]:
        return CHOSEN
    standing = row["standing"]
    return TIED if standing and standing["in_set"] else OTHER


def accuracy_against_flops(content: Content) -> Figure:
    """Validation accuracy of every network trained, against its measured flops."""
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    trained = [row for row in content.candidates if row["n"]]
    for row in trained:
        shade = INK if row["is_baseline"] else colour(content, row)
        low, high = row["accuracy"] - row["accuracy_low"], row["accuracy_high"] - row["accuracy"]
        axes.errorbar(
            row["flops"] / 1e6,
            100 * row["accuracy"],
            yerr=[[100 * max(0, low)], [100 * max(0, high)]],
            fmt="s" if row["is_baseline"] else "o",
            color=shade,
            capsize=3,
            zorder=3 if shade == CHOSEN else 2,
        )
    axes.set_xscale("log")
    axes.set_xlabel("multiply-adds (millions, measured, log scale)")
    axes.set_ylabel("validation accuracy (%), mean and range of seeds")
    legend(axes, content)
    plain_ticks(axes, [row["flops"] / 1e6 for row in trained])
    return figure


def plain_ticks(axes: Axes, values: list[float]) -> None:
    """Ticks in plain numbers at the ends and the middle of a log axis."""
    low, high = min(values) / 1.06, max(values) * 1.06
    axes.set_xlim(low, high)
    ticks = sorted({round(v, 3) for v in (min(values), (low * high) ** 0.5, max(values))})
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def legend(axes: Axes, content: Content) -> None:
    """What the colours mean, for those that appear."""
    entries = [("s", INK, "1x baseline"), ("o", TIED, "may be the best (95 % set)")]
    if content.selection["recommended"]:
        entries.append(("o", CHOSEN, "chosen"))
    if any(not row["in_set"] for row in content.selection["standings"]):
        entries.append(("o", OTHER, "worse than the best"))
    for marker, shade, text in entries:
        axes.plot([], [], marker, color=shade, label=text)
    axes.legend(frameon=False, fontsize=9)


def losses_of_candidates(content: Content) -> Figure:
    """Each candidate's paired loss difference to the leader, with its interval."""
    rows = [row for row in content.candidates if row["standing"]]
    figure, axes = plt.subplots(figsize=(7.2, 1.2 + 0.32 * len(rows)), layout="constrained")
    for y, row in enumerate(reversed(rows)):
        standing = row["standing"]
        low, high = standing["interval"]
        axes.plot([low, high], [y, y], color=colour(content, row), linewidth=2)
        axes.plot(standing["difference"], y, "o", color=colour(content, row))
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [name_of(row) for row in reversed(rows)])
    axes.set_xlabel("validation cross-entropy minus the leader's (95 % interval)")
    return figure


def name_of(row: dict[str, Any]) -> str:
    """A candidate's coefficients."""
    if row["is_baseline"]:
        return "1x baseline"
    return f"α {row['alpha']:g}  β {row['beta']:g}  γ {row['gamma']:g}"


def learning_curves(content: Content) -> Figure:
    """Validation loss after each epoch, a line for each trial."""
    figure, axes = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    rows = {row["key"]: row for row in content.candidates}
    for (key, _), curve in content.curves.groupby(["candidate", "seed"]):
        row = rows[str(key)]
        shade = INK if row["is_baseline"] else colour(content, row)
        axes.plot(curve["epoch"], curve["loss"], color=shade, linewidth=1.2, alpha=0.8)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation cross-entropy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_lines = [(INK, "1x baseline"), (TIED, "may be the best (95 % set)")]
    if content.selection["recommended"]:
        legend_lines.append((CHOSEN, "chosen"))
    if any(not (row["standing"] and row["standing"]["in_set"]) for row in content.candidates[:-1]):
        legend_lines.append((OTHER, "stopped, or worse than the best"))
    for shade, text in legend_lines:
        axes.plot([], [], color=shade, label=text)
    axes.legend(frameon=False, fontsize=9)
    return figure
