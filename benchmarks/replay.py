"""Policies against the tabular benchmark: what each spends, and what its pick costs.

python -m benchmarks.replay [--write]
"""

import argparse
from pathlib import Path

from benchmarks.contenders import contenders
from scalesearch.selection.replay import Table, read_table, replay

SHARE = 0.3  # of the full grid's epochs, that those which stop early may spend
FOLDER = Path(__file__).parents[1] / "results" / "lattice-fashion-mnist"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamplings", type=int, default=200)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    table = read_table(FOLDER)
    networks, seeds, epochs = table.losses.shape
    truth = sorted(table.losses[:-1, :, -1].mean(axis=1))
    text = "\n".join(
        [
            "# Policies replayed on the tabular benchmark",
            "",
            f"{networks - 1} candidates x {seeds} seeds x {epochs} epochs, measured. Spent is the "
            "share of the full grid's epochs; regret is the loss of the pick over that of the best "
            f"by the mean of all {seeds} seeds (the second best is worse by "
            f"{truth[1] - truth[0]:.4f}, the worst by {truth[-1] - truth[0]:.4f}). Successive "
            f"halving, ASHA and random may spend {SHARE:.0%}.",
            "",
            f"{options.resamplings} orders of the seeds, drawn anew for each line. The full grid "
            "is the truth here, and its regret 0:",
            "",
            *lines(table, options.resamplings, False),
            "",
            f"{options.resamplings} bootstraps, as many seeds drawn with replacement: the full "
            "grid errs too. A seed drawn twice shows no noise, and misleads whoever stops early:",
            "",
            *lines(table, options.resamplings, True),
            "",
        ]
    )
    print(text)
    if options.write:
        (FOLDER / "replay.md").write_text(text)


def lines(table: Table, resamplings: int, replacement: bool) -> list[str]:
    """A table of all policies."""
    rows = [
        replay(policy, table, resamplings, name, replacement=replacement)
        for name, policy in contenders(table.losses.shape[1], SHARE).items()
    ]
    return [
        "| policy | spent | mean regret | standard error | picks the best |",
        "|---|---|---|---|---|",
        *(
            f"| {row.policy} | {row.spent:.0%} | {row.regret:.5f} | {row.error:.5f} | "
            f"{row.right:.0%} |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    main()
