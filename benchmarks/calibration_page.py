"""The calibration page, from the figures of every world that was run."""

from collections.abc import Mapping, Sequence
from typing import Any

Figures = Mapping[str, Any]
BINS = (0.0, 0.4, 0.6, 0.8, 0.95, 1.0001)
ENOUGH = 100  # searches that a bin must have to be judged
DEFAULT = "default, 50%"
CANNOT = ("equal", "clear")  # truths in which P(best) is not held to account
LOSS = 0.43
OTHERS = ("successive halving", "ASHA", "random")

HEAD = """# Is the answer as sure as it says?

Simulated searches with a known truth, run end to end under the default policy and then answered as
a study's selection is (`python -m benchmarks.calibration --write`). Losses are about 0.43; a
trial's own noise is 0.012, and so is the spread of the candidates' true losses where a world does
not say otherwise. Random numbers are other than those that figures were chosen on. Where all truths
are equal, one candidate is called the best: the set must hold any. *around the lattice* has the
truths and the noise of the tabular benchmark as it is today (results/lattice-fashion-mnist), the
same in every search: its three best networks are nearly equal, which P(best) does not expect, for
it draws truths with the spread of all ten.

## The set, P(best) and the regret under the default policy

*Held* is how often the 95 % set holds the best; *size* is its mean number of candidates. P(best) is
that of the leader: what was said on average, and how often it was right; *off* is the largest
difference of a bin of P(best) that at least 100 searches fell into, with two standard errors.
Regret is in % of a loss of 0.43, as it was expected and as it was.
"""


def page(found: Mapping[str, Figures]) -> str:
    """The page as Markdown."""
    parts = [
        HEAD,
        default_table(found),
        *([CHOSEN] if any(figures["world"].get("choice") for figures in found.values()) else []),
        REGRET_HEAD,
        regret_table(found),
        P_HEAD,
        bins_table(found),
    ]
    return "\n".join(parts)


def default_table(found: Mapping[str, Figures]) -> str:
    """What was said under the default policy, world by world."""
    rows = [
        "| world | searches | epochs spent | held | size | P(best) said / right | off "
        "| regret said / true |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, figures in found.items():
        row, world = figures[DEFAULT], figures["world"]
        rows.append(
            f"| {name} | {row['searches']} | {row['spent']:.0%} | {row['held']:.1%} "
            f"| {row['size']:.1f} of {world['candidates']} "
            f"| {row['p_best']:.0%} / {row['right']:.0%} | {furthest(figures)} "
            f"| {row['said_regret'] / LOSS:.2%} / {row['regret'] / LOSS:.2%} |"
        )
    return "\n".join([*rows, ""])


def furthest(figures: Figures) -> str:
    """The largest difference of P(best) said and right, of bins that have ENOUGH searches."""
    if figures["world"]["truth"] in CANNOT:
        return "–"
    bins = [b for b in figures[DEFAULT]["bins"] if b[2] >= ENOUGH]
    if not bins:
        return "–"
    said, right, count = max(bins, key=lambda b: abs(b[0] - b[1]))
    return f"{100 * (said - right):+.0f} ± {200 * (right * (1 - right) / count) ** 0.5:.0f}"


CHOSEN = """
Truths are those of the validation examples, told by one number a trial, but for the worlds named
*chosen*: there truths are of all images, and the choice of 200 for validation moves each network's
loss, in all its seeds alike: by half of a trial's noise, or by 0.21 of it, the most that was
measured (results/benchmarks/choice.md). The answer is told the examples' losses, or one number a
trial, as of a training without them: what such a number leaves out, its P(best) does too.
"""
REGRET_HEAD = """
## Regret beside other policies

In % of the loss, with one standard error; of one search in four, but of all for the default at its
end and the grid of all seeds, which see the same trials: *ratio* is of those two, with its error.
*At best* is that ratio for the same rule where noise and spread are known and every single trial is
followed by a decision (benchmarks/bound.py). Shares are of the full grid's epochs, the 1x baseline
apart; at 30 % the default is as far as it is then on its way. Grids are answered by the same
selection; successive halving, ASHA and random pick the lowest mean of whole trials.
"""


def regret_table(found: Mapping[str, Figures]) -> str:
    """Regrets of every policy, world by world; worlds in which all are equal have none."""
    shown = {name: f for name, f in found.items() if f["world"]["truth"] != "equal"}
    columns = ["default, 30%", DEFAULT, "grid, 2 seeds", "grid, 3 seeds", "grid, 8 seeds"]
    columns += [f"{name}, {share}" for share in ("30%", "50%") for name in OTHERS]
    rows = ["| world | ratio | at best | " + " | ".join(columns) + " |"]
    rows.append("|" + "---|" * (len(columns) + 3))
    for name, figures in shown.items():
        cells = [regret_cell(figures.get(column)) for column in columns]
        ratios = [with_error(figures["ratio"]), with_error(figures.get("at_best", []))]
        rows.append(f"| {name} | {' | '.join(ratios + cells)} |")
    return "\n".join([*rows, ""])


def with_error(ratio: Sequence[float]) -> str:
    """A ratio and its standard error; a dash where there is none."""
    return "{:.2f} ± {:.2f}".format(*ratio) if ratio else "–"


def regret_cell(row: Figures | None) -> str:
    """A regret with its standard error; a dash where the policy was not run."""
    if row is None:
        return "–"
    return f"{100 * row['regret'] / LOSS:.2f} ± {100 * row['regret_error'] / LOSS:.2f}"


P_HEAD = """
## P(best): what was said, and how often it was right

Under the default policy: said / right in % (searches), for each range of what was said.
"""


def bins_table(found: Mapping[str, Figures]) -> str:
    """P(best) said and right in each bin, world by world."""
    rows = [
        "| world | below 40 | 40 to 60 | 60 to 80 | 80 to 95 | above 95 |",
        "|---|---|---|---|---|---|",
    ]
    for name, figures in found.items():
        by_bin = {place(said): (said, right, n) for said, right, n in figures[DEFAULT]["bins"]}
        cells = []
        for i in range(len(BINS) - 1):
            said, right, n = by_bin.get(i, (0.0, 0.0, 0))
            cells.append(f"{100 * said:.0f} / {100 * right:.0f} ({n})" if n else "–")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def place(share: float) -> int:
    """Which bin a P(best) falls into."""
    return next(i for i in range(len(BINS) - 1) if share < BINS[i + 1])
