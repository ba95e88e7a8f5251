"""The tabular benchmark: any policy against a table of what every trial would have brought.

The table is a study whose every trial was trained (results/lattice-fashion-mnist); nothing in it is
invented or interpolated. A resampling is an order of its seeds, or a draw of as many with
replacement; a policy gets them in that order. Regret is the loss of what the policy picks over that
of the best, both the means of all seeds of the table: with every seed once the full grid's is 0,
with draws (the bootstrap) not.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalesearch.plans.document import read_plan
from scalesearch.selection.losses import Curves, loss_matrix, losses_after
from scalesearch.selection.sampler import sample
from scalesearch.selection.terms import Policy, Terms

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """Losses (networks, seeds, epochs) at phi = 1, the baseline's last, and the networks' keys."""

    keys: tuple[str, ...]
    losses: Floats


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a policy did: its share of the full grid's epochs, its regret, how often it is right."""

    policy: str
    spent: float
    regret: float
    error: float
    right: float


def read_table(folder: Path) -> Table:
    """The table that a study's trials make. Raises ValueError where one of them is missing."""
    plan, rows = read_plan(folder), pd.read_csv(folder / "curves.csv")
    keys = [*(candidate.key for candidate in plan.candidates), plan.baseline.key]
    wide = rows.pivot_table(index="candidate", columns=["seed", "epoch"], values="loss")
    wide = wide.reindex(keys)
    seeds, epochs = rows["seed"].nunique(), int(rows["epoch"].max())
    if wide.isna().any(axis=None) or wide.shape[1] != seeds * epochs:
        raise ValueError(f"a table must have every network's every epoch, got gaps in {folder}")
    return Table(tuple(keys), wide.to_numpy().reshape(len(keys), seeds, epochs))


def replay(
    policy: Policy,
    table: Table,
    resamplings: int = 200,
    name: str = "",
    seed: int = 0,
    replacement: bool = False,
) -> Replayed:
    """How `policy` does on the table over that many orders, or draws, of its seeds."""
    count, seeds, epochs = table.losses.shape
    truth = table.losses[:-1, :, -1].mean(axis=1)
    terms = Terms(table.keys[:-1], table.keys[-1], seeds, epochs)
    rng = np.random.default_rng(seed)
    spent, regrets = [], []
    for _ in range(resamplings):
        order = rng.permutation(seeds)
        if replacement:
            order = rng.integers(0, seeds, size=(seeds,))
        curves = play(policy, terms, table, order)
        picked = table.keys.index(pick(curves, terms))
        regrets.append(truth[picked] - truth.min())
        whole = (count - 1) * seeds * epochs
        spent.append(sum(len(v) for (k, _), v in curves.items() if k != terms.baseline) / whole)
    found = np.array(regrets)
    return Replayed(
        policy=name or getattr(policy, "__name__", "policy"),
        spent=float(np.mean(spent)),
        regret=float(found.mean()),
        error=float(found.std(ddof=1) / np.sqrt(resamplings)),
        right=float((found == 0).mean()),
    )


def play(
    policy: Policy, terms: Terms, table: Table, order: NDArray[np.int64]
) -> dict[tuple[str, int], list[float]]:
    """All losses that a policy gets to see with the seeds in that order."""
    place = {key: i for i, key in enumerate(table.keys)}
    curves: dict[tuple[str, int], list[float]] = {}
    while (decision := policy(curves, terms)).asks:
        for ask in decision.asks:
            losses = table.losses[place[ask.key], order[ask.seed], : ask.epochs]
            curves[ask.key, ask.seed] = losses.tolist()
    return curves


def pick(curves: Curves, terms: Terms) -> str:
    """The candidate that the selection would lead with: the lowest expected final loss.

    Where seeds do not tell noise, the lowest mean.
    """
    ends = losses_after(curves, terms.epochs)
    keys = sorted({key for key, _ in ends} - {terms.baseline})
    table = loss_matrix(ends, [*keys, terms.baseline], range(terms.seeds))
    try:
        means = sample(table[:-1], table[-1]).effects.mean(axis=0)
    except ValueError:
        means = np.nanmean(table[:-1], axis=1)
    return keys[int(means.argmin())]
