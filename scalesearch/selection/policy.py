"""Policies: which trials to train next, from the losses known so far. Pure: no study, no torch.

A policy is called again and again with all that is known, and decides from that alone. So a search
that was interrupted goes on as if it had not been, and any policy can be replayed against a table.
Only losses of the same epoch are ever compared.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scalesearch.selection.effects import REGRET, Effects, fit_effects
from scalesearch.selection.losses import Curves, loss_matrix, losses_after

NEGLIGIBLE = 0.05  # P(best) below which a candidate is not worth going on with
SHARE = 0.3  # of the full grid's epochs
FIRST_SEEDS = 2  # the fewest that tell noise from effects
MIN_ALIVE = 3  # that go on from a rung before the last epoch, where ranks may still change
# trained to the end before a search may stop: what three tell of a few candidates' noise is so
# uncertain itself that one order of seeds in fifty ended with the second best
MIN_SEEDS = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy has to decide about: candidates, the 1x baseline, seeds and epochs at most."""

    candidates: tuple[str, ...]
    baseline: str
    seeds: int
    epochs: int
    failed: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """Train a network with a seed until that epoch."""

    key: str
    seed: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Stop:
    """That a candidate is trained no further than to `epoch`, and why."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to train next; nothing, and why, where the search has ended. `stops` are all so far."""

    asks: tuple[Ask, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    ended: str = ""


Policy = Callable[[Curves, Terms], Decision]


def grid(curves: Curves, terms: Terms) -> Decision:
    """Every network with every seed to the last epoch."""
    keys = (terms.baseline, *terms.candidates)
    asks = missing(curves, terms, keys, range(terms.seeds), terms.epochs)
    return Decision(asks, {}, "" if asks else "every trial of the grid was trained")


def rungs(curves: Curves, terms: Terms) -> Decision:
    """All candidates for half the epochs with two seeds; those that may still be best to the end;
    then seeds for those that tie, one at a time.

    After each rung a candidate of negligible P(best) is stopped, and after the first at least half
    of them, but for MIN_ALIVE. It ends when one is left, the expected regret is small, all seeds
    are used, or SHARE of the full grid's epochs is spent.
    """
    alive, stops = list(terms.candidates), dict[str, Stop]()
    first = min(FIRST_SEEDS, terms.seeds)
    half = math.ceil(terms.epochs / 2)
    rows = [(half, first, max(MIN_ALIVE, math.ceil(len(alive) / 2)))]
    rows += [(terms.epochs, first, len(alive))]
    rows += [(terms.epochs, n, len(alive)) for n in range(first + 1, terms.seeds + 1)]
    for rung, (epochs, seeds, most) in enumerate(rows, 1):
        keys = (terms.baseline, *alive)
        if asks := missing(curves, terms, keys, range(seeds), epochs):
            return Decision(asks, stops)
        standing = compare(curves, alive, range(seeds), epochs)
        for key in alive:
            fewest = MIN_ALIVE if epochs < terms.epochs else 1
            if reason := standing.why_stop(key, fewest, most):
                stops[key] = Stop(epochs, f"rung {rung} ({seeds} seeds, {epochs} epochs): {reason}")
        alive = [key for key in alive if key not in stops]
        if not alive:
            return Decision((), stops, "every candidate failed")
        if epochs == terms.epochs and seeds >= min(MIN_SEEDS, terms.seeds):
            another = terms.epochs * len(alive)
            if ended := standing.why_end(alive, spent(curves, terms) + another, terms):
                return Decision((), stops, ended)
    return Decision((), stops, f"all {terms.seeds} seeds were used")


POLICIES: dict[str, Policy] = {"rungs": rungs, "grid": grid}


@dataclass(frozen=True, slots=True)
class Standings:
    """How candidates compare at one rung; None where a single seed says nothing."""

    keys: tuple[str, ...]
    effects: Effects | None

    def why_stop(self, key: str, fewest: int, most: int) -> str:
        """Why a candidate is not worth going on with; '' where it is."""
        if key not in self.keys:
            return "its trials failed"
        if self.effects is None:
            return ""
        i = self.keys.index(key)
        share, rank = self.effects.p_best()[i], int(self.effects.means.argsort().argsort()[i])
        if rank >= fewest and share < NEGLIGIBLE:
            return f"P(best) {share:.1%} of {len(self.keys)}"
        return f"rank {rank + 1} of {len(self.keys)}, {most} go on" if rank >= most else ""

    def why_end(self, alive: Sequence[str], spending: int, terms: Terms) -> str:
        """Why no more trials are worth their price; '' where they are."""
        if self.effects is None or len(alive) == 1:
            return "one candidate is left" if len(alive) == 1 else ""
        regret = self.effects.regrets().min() / self.effects.means.min()
        if regret < REGRET:
            return f"the expected regret is {regret:.2%} of the loss, below {REGRET:.2%}"
        whole = len(terms.candidates) * terms.seeds * terms.epochs
        if spending > SHARE * whole and terms.seeds > MIN_SEEDS:
            return f"another seed would take more than {SHARE:.0%} of the full grid's epochs"
        return ""


def compare(curves: Curves, alive: Sequence[str], seeds: Sequence[int], epochs: int) -> Standings:
    """How those that have a trial of that many epochs compare after them."""
    known = losses_after(curves, epochs)
    keys = [key for key in alive if any((key, seed) in known for seed in seeds)]
    losses = loss_matrix(known, keys, seeds)
    if len(keys) < 2 or (~np.isnan(losses)).all(axis=0).sum() < 2:
        return Standings(tuple(keys), None)
    return Standings(tuple(keys), fit_effects(losses))


def reached(curves: Curves, key: str, seed: int) -> int:
    """How many epochs of a trial are known."""
    return len(curves.get((key, seed), ()))


def missing(
    curves: Curves, terms: Terms, keys: Sequence[str], seeds: Sequence[int], epochs: int
) -> tuple[Ask, ...]:
    """The trials that have yet to reach that epoch; a seed's stand together."""
    return tuple(
        Ask(key, seed, epochs)
        for seed in seeds
        for key in keys
        if (key, seed) not in terms.failed and reached(curves, key, seed) < epochs
    )


def spent(curves: Curves, terms: Terms) -> int:
    """Epochs that candidates were trained for."""
    return sum(len(curve) for (key, _), curve in curves.items() if key != terms.baseline)
