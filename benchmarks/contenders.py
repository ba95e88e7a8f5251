"""Policies that the default one is compared with, within a share of the full grid's epochs."""

import numpy as np

from scalesearch.selection.adaptive import adaptive
from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import grid
from scalesearch.selection.terms import Ask, Decision, Policy, Terms


def one_grid(seeds: int) -> Policy:
    """The full grid with that many seeds."""

    def policy(curves: Curves, terms: Terms) -> Decision:
        return grid(curves, Terms(terms.candidates, terms.baseline, seeds, terms.epochs))

    return policy


def halving(share: float) -> Policy:
    """Successive halving (Jamieson & Talwalkar 2016): one seed, half the candidates at each rung.

    Started again with the next seed while the share of the grid's epochs is not spent.
    """

    def policy(curves: Curves, terms: Terms) -> Decision:
        used = 0
        for seed in range(terms.seeds):
            alive, epochs = list(terms.candidates), max(1, terms.epochs // 4)
            while True:
                asks = tuple(
                    Ask(key, seed, epochs)
                    for key in alive
                    if len(curves.get((key, seed), ())) < epochs
                )
                if asks:
                    price = sum(a.epochs - len(curves.get((a.key, seed), ())) for a in asks)
                    enough = used + price > share * whole(terms)
                    return Decision(ended="the share is spent") if enough else Decision(asks)
                if epochs == terms.epochs:
                    break
                alive.sort(key=lambda key: curves[key, seed][epochs - 1])
                alive, epochs = alive[: max(1, len(alive) // 2)], min(2 * epochs, terms.epochs)
            used = sum(len(curve) for (_, s), curve in curves.items() if s <= seed)
        return Decision(ended="all seeds were used")

    return policy


def asynchronous(share: float) -> Policy:
    """ASHA with one worker (Li et al. 2020, arXiv:1810.05934), reduction 2.

    A trial that is among the better half of those that reached its rung is promoted; else the
    next is begun: candidates by turns, seed after seed.
    """

    def policy(curves: Curves, terms: Terms) -> Decision:
        used = sum(len(curve) for curve in curves.values())
        if used + terms.epochs > share * whole(terms):
            return Decision(ended="the share is spent")
        rung = max(1, terms.epochs // 4)
        levels = [rung * 2**i for i in range(8) if rung * 2**i < terms.epochs]
        for level in reversed(levels):
            there = {who: curve[level - 1] for who, curve in curves.items() if len(curve) >= level}
            for who in sorted(there, key=lambda who: there[who])[: len(there) // 2]:
                if len(curves[who]) == level:
                    return Decision((Ask(*who, min(2 * level, terms.epochs)),))
        for seed in range(terms.seeds):
            for key in terms.candidates:
                if (key, seed) not in curves:
                    return Decision((Ask(key, seed, levels[0] if levels else terms.epochs),))
        return Decision(ended="all trials were begun")

    return policy


def at_random(share: float) -> Policy:
    """Trials picked at random, each to the end."""

    def policy(curves: Curves, terms: Terms) -> Decision:
        # the losses so far are all the chance there is: a policy has no state of its own
        rng = np.random.default_rng(int(1e9 * sum(curve[-1] for curve in curves.values())))
        if (len(curves) + 1) * terms.epochs > share * whole(terms):
            return Decision(ended="the share is spent")
        every = [(key, seed) for key in terms.candidates for seed in range(terms.seeds)]
        left = [who for who in every if who not in curves]
        return Decision((Ask(*left[int(rng.integers(len(left)))], terms.epochs),))

    return policy


def contenders(seeds: int, share: float) -> dict[str, Policy]:
    """The policies that a results page compares."""
    return {
        f"grid, {seeds} seeds": grid,
        "grid, 3 seeds": one_grid(3),
        "adaptive (default)": adaptive,
        "successive halving": halving(share),
        "ASHA": asynchronous(share),
        "random": at_random(share),
    }


def whole(terms: Terms) -> int:
    """Epochs of the full grid."""
    return len(terms.candidates) * terms.seeds * terms.epochs
