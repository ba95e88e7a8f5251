"""The tabular benchmark: any policy against a table of what every trial would have brought.

The table is measured (results/lattice-fashion-mnist); nothing in it is invented or interpolated. A
resampling is an order of its seeds, or a draw of as many with replacement; a policy gets them in
that order. Regret is the loss of what the policy picks over that of the best, both the means of
all seeds of the table: with every seed once the full grid's is 0, with draws (the bootstrap) not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import SHARE, Ask, Decision, Policy, Terms, grid, rungs

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
    """The table in a directory's curves.csv. Raises ValueError where a trial of it is missing."""
    rows = pd.read_csv(folder / "curves.csv")
    rows = rows[rows["phi"] <= 1]
    baseline = rows.loc[rows["phi"] == 0, "candidate"].iloc[0]
    keys = [*(key for key in rows["candidate"].unique() if key != baseline), baseline]
    wide = rows.pivot_table(index="candidate", columns=["seed", "epoch"], values="loss").loc[keys]
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
    """The candidate of the lowest mean loss of those with the most seeds trained to the end."""
    ends: dict[str, list[float]] = {}
    for (key, _), curve in curves.items():
        if key != terms.baseline and len(curve) == terms.epochs:
            ends.setdefault(key, []).append(curve[-1])
    most = max(len(losses) for losses in ends.values())
    leaders = [key for key, losses in ends.items() if len(losses) == most]
    return min(leaders, key=lambda key: float(np.mean(ends[key])))


def halving(curves: Curves, terms: Terms) -> Decision:
    """Successive halving (Jamieson & Talwalkar 2016): one seed, half the candidates at each rung.

    Started again with the next seed while SHARE of the grid's epochs is not spent; the last
    candidates of all seeds are compared where they reached the end.
    """
    first = max(1, terms.epochs // 4)
    used = 0
    for seed in range(terms.seeds):
        alive, epochs = list(terms.candidates), first
        while True:
            asks = tuple(
                Ask(key, seed, epochs) for key in alive if len(curves.get((key, seed), ())) < epochs
            )
            if asks:
                price = sum(a.epochs - len(curves.get((a.key, seed), ())) for a in asks)
                whole = len(terms.candidates) * terms.seeds * terms.epochs
                if used + price > SHARE * whole:
                    return Decision(ended="the share is spent")
                return Decision(asks)
            if epochs == terms.epochs:
                break
            alive.sort(key=lambda key: curves[key, seed][epochs - 1])
            alive, epochs = alive[: max(1, len(alive) // 2)], min(2 * epochs, terms.epochs)
        used = sum(len(curve) for curve in curves.values())
    return Decision(ended="all seeds were used")


def asynchronous(curves: Curves, terms: Terms) -> Decision:
    """ASHA with one worker (Li et al. 2020, arXiv:1810.05934), reduction 2, within SHARE.

    A trial that is among the better half of those that reached its rung is promoted; else the
    next is begun: candidates by turns, seed after seed.
    """
    whole = len(terms.candidates) * terms.seeds * terms.epochs
    if sum(len(curve) for curve in curves.values()) + terms.epochs > SHARE * whole:
        return Decision(ended="the share is spent")
    rung = max(1, terms.epochs // 4)
    levels = []
    while rung < terms.epochs:
        levels.append(rung)
        rung *= 2
    for level in reversed(levels):
        there = {who: curve[level - 1] for who, curve in curves.items() if len(curve) >= level}
        better = sorted(there, key=lambda who: there[who])[: len(there) // 2]
        for key, seed in better:
            if len(curves[key, seed]) == level:
                return Decision((Ask(key, seed, min(2 * level, terms.epochs)),))
    for seed in range(terms.seeds):
        for key in terms.candidates:
            if (key, seed) not in curves:
                return Decision((Ask(key, seed, levels[0] if levels else terms.epochs),))
    return Decision(ended="all trials were begun")


def at_random(curves: Curves, terms: Terms) -> Decision:
    """Trials picked at random, each to the end, within SHARE of the full grid's epochs."""
    # the losses so far are all the chance there is: a policy has no state of its own
    rng = np.random.default_rng(int(1e9 * sum(curve[-1] for curve in curves.values())))
    whole = len(terms.candidates) * terms.seeds * terms.epochs
    if (len(curves) + 1) * terms.epochs > SHARE * whole:
        return Decision(ended="the share is spent")
    left = [
        (key, seed)
        for key in terms.candidates
        for seed in range(terms.seeds)
        if (key, seed) not in curves
    ]
    key, seed = left[int(rng.integers(len(left)))]
    return Decision((Ask(key, seed, terms.epochs),))


def one_grid(seeds: int) -> Policy:
    """The full grid with that many seeds."""

    def policy(curves: Curves, terms: Terms) -> Decision:
        return grid(curves, Terms(terms.candidates, terms.baseline, seeds, terms.epochs))

    return policy


def contenders(table: Table) -> Mapping[str, Callable[[Curves, Terms], Decision]]:
    """The policies that a results page compares."""
    return {
        f"grid, {table.losses.shape[1]} seeds": grid,
        "grid, 3 seeds": one_grid(3),
        "rungs (default)": rungs,
        "successive halving": halving,
        "ASHA": asynchronous,
        "random": at_random,
    }
