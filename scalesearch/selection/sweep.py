"""The sweep of the learning rate on two candidates: would each at its own best rate swap them?

The candidates' difference at the recipe's rate is compared with that at the best rate of each. The
best of three noisy losses is too good by luck, and by another amount for each network; so the
change is held against what it is where no rate matters, simulated with the trials' noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalesearch.selection.posterior import CONFIDENCE
from scalesearch.selection.sampler import Floats

Losses = Mapping[float, Mapping[int, float]]  # of one network, by rate and seed
RATES = (0.5, 1.0, 2.0)  # an octave to both sides of the recipe's
SIMULATED = 4000
ENOUGH_POWER = 0.5
MOST_SEEDS = 100


@dataclass(frozen=True, slots=True)
class Swap:
    """What a sweep tells of two networks: loss of the first less that of the second.

    `shared` is at the recipe's rate, `own` at the best `rates` of each; `margin` is how far `own`
    may be from `shared` by chance at CONFIDENCE. `octave` is what a rate one octave off costs by
    the sweep's own curvature, `power` how often `seeds` seeds would show that, and `wanted` how
    many would in half of all cases; None where MOST_SEEDS do not.
    """

    shared: float
    own: float
    rates: tuple[float, float]
    margin: float
    octave: float
    seeds: int
    power: float
    wanted: int | None

    @property
    def shown(self) -> bool:
        """Whether the two swap by more than chance."""
        return self.shared * self.own < 0 and abs(self.own - self.shared) > self.margin


def swap_of(first: Losses, second: Losses, noise: Floats) -> Swap | None:
    """What the sweep tells; None where not two seeds were trained at every rate.

    `noise` (draws, 2) is the standard deviation of a trial's noise, of each network. Within a
    network rates are compared with the same seeds.
    """
    seeds = min(len(whole_seeds(losses)) for losses in (first, second))
    if seeds < 2:
        return None
    means = np.array([rate_means(losses) for losses in (first, second)])  # networks, rates
    rng = np.random.default_rng(0)
    drawn = noise[rng.integers(len(noise), size=SIMULATED)]
    unit = rng.standard_normal((SIMULATED, 2, len(RATES))) * drawn[:, :, None]
    octave = max(0.0, float((means[:, [0, 2]].mean(axis=1) - means[:, 1]).mean()))
    best = means.argmin(axis=1)
    return Swap(
        shared=float(means[0, 1] - means[1, 1]),
        own=float(means[0].min() - means[1].min()),
        rates=(RATES[best[0]], RATES[best[1]]),
        margin=margin(unit, seeds),
        octave=octave,
        seeds=seeds,
        power=power(unit, seeds, octave),
        wanted=seeds_wanted(unit, octave),
    )


def whole_seeds(losses: Losses) -> set[int]:
    """The seeds that a network was trained with at every rate."""
    return set.intersection(*(set(losses.get(rate, {})) for rate in RATES))


def rate_means(losses: Losses) -> list[float]:
    """The mean loss at each rate, over the seeds that have them all."""
    seeds = sorted(whole_seeds(losses))
    return [float(np.mean([losses[rate][seed] for seed in seeds])) for rate in RATES]


def change(losses: Floats) -> Floats:
    """By how much the difference of two networks changes at the best rate of each, (n,).

    `losses` is (n, 2, rates).
    """
    gains = losses.min(axis=2) - losses[:, :, 1]
    changed: Floats = gains[:, 0] - gains[:, 1]
    return changed


def margin(unit: Floats, seeds: int) -> float:
    """How large the change is by chance at CONFIDENCE, from simulated noise of one seed."""
    return float(np.quantile(np.abs(change(unit)), CONFIDENCE) / np.sqrt(seeds))


def power(unit: Floats, seeds: int, octave: float) -> float:
    """How often a change is shown where the second network's best rate is an octave higher.

    A loss is taken to grow with the square of the octaves to the best rate.
    """
    apart = octave * np.array([[1.0, 0.0, 1.0], [4.0, 1.0, 0.0]])
    changed = change(apart + unit / np.sqrt(seeds))
    return float((np.abs(changed) > margin(unit, seeds)).mean())


def seeds_wanted(unit: Floats, octave: float) -> int | None:
    """The fewest seeds with ENOUGH_POWER; None beyond MOST_SEEDS."""
    enough = [n for n in (2, MOST_SEEDS) if power(unit, n, octave) >= ENOUGH_POWER]
    if not enough:
        return None
    low, high = 1, enough[0]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(unit, middle, octave) >= ENOUGH_POWER else (middle, high)
    return high
