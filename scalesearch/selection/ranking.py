"""The ranking: which candidate is best, and how sure the trials are of it.

Seeds are shared by all candidates, so every comparison is a difference within a seed. Loss is the
validation cross-entropy after the last epoch; lower is better.

Every candidate that was planned is in the comparison, whether it was trained to the end or not: one
that was not may be the best too. Uncertainty has two levels. Seeds: draws of the candidates' losses
from one posterior (`sampler`), in which candidates are shrunk towards one another by their
estimated spread. Examples: the covariance of their losses over the validation examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalesearch.selection.effects import example_covariance, example_noise
from scalesearch.selection.losses import end_losses, loss_matrix
from scalesearch.selection.posterior import in_set, interval, p_best, regrets
from scalesearch.selection.sampler import Draws, Floats, Hints, additive, sample

Examples = Mapping[int, NDArray[np.float32]]  # losses of the validation examples, by seed
BASELINE = "1x"  # its name among candidates' keys


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate stands: its loss, and what separates it from the leader.

    `loss` is fitted over seeds, so that candidates of different seeds compare: the mean of its own
    `seeds` whole trials where it has every seed, else corrected for the seeds that it lacks; of one
    without a whole trial it is what is expected of it. `spread` is its seeds' standard deviation.
    The rest is of the posterior, in which candidates are drawn towards one another: `difference` to
    the leader and its interval, leader itself 0..0; `regret`, the loss that choosing it is expected
    to cost over the best; `in_set`, whether it may be best.
    """

    key: str
    seeds: int
    loss: float
    spread: float
    p_best: float
    regret: float
    difference: float
    interval: tuple[float, float]
    in_set: bool


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much a candidate's loss is below the 1x baseline's, with its interval."""

    loss: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The leader, every candidate's standing (best first), the gain over the 1x baseline.

    Best is whose expected loss is lowest. `gain` is the baseline's loss minus the mean of all
    candidates', with an interval; `gains` is
    that of each candidate; `noise` the standard deviation of a loss from one seed, what seeds
    share apart. `draws` are of the candidates in the order of their `keys`.
    """

    leader: str
    standings: tuple[Standing, ...]
    baseline_loss: float
    gain: float
    gain_interval: tuple[float, float]
    gains: Mapping[str, Gain]
    noise: float
    seeds: int
    examples: int
    keys: tuple[str, ...]
    draws: Draws

    @property
    def confidence_set(self) -> tuple[str, ...]:
        """Keys of the candidates that may be best, as far as the trials can tell."""
        return tuple(standing.key for standing in self.standings if standing.in_set)

    @property
    def beats_baseline(self) -> bool:
        """Whether the candidates' gain over the baseline is beyond noise."""
        return self.gain_interval[0] > 0


def rank(
    losses: Mapping[str, Examples],
    baseline: Examples,
    candidates: Sequence[str],
    hints: Mapping[str, tuple[float, float]] | None = None,
) -> Ranking:
    """The ranking of `candidates`, from the losses of examples by key and seed.

    All are of whole trials. `hints` are means and variances of final losses that half-trained
    trials foretell. Raises ValueError where no two seeds of two networks tell noise, or the
    baseline or every candidate has no trial.
    """
    keys = tuple(sorted(candidates))
    named = {**{key: losses.get(key, {}) for key in keys}, BASELINE: baseline}
    seeds = sorted({seed for of_network in named.values() for seed in of_network})
    trained = [key for key in keys if named[key]]
    if not trained or not baseline or len(seeds) < 2:
        raise ValueError(
            f"a selection needs two seeds that candidates and the baseline finished, got "
            f"{len(seeds)} for {len(trained)} candidates: train more seeds"
        )
    table = loss_matrix(end_losses(named), [*named], seeds)
    draws = with_examples(sample(table[:-1], table[-1], hints_of(hints, keys)), named)
    means, inside = draws.effects.mean(axis=0), in_set(draws)
    losses_fitted = fitted(table)
    shares, costs = p_best(draws.effects), regrets(draws.effects)
    # one that was never trained to the end may be the best, but it is nobody's choice
    order = sorted(range(len(keys)), key=lambda i: (not named[keys[i]], means[i]))
    best = order[0]
    gained = draws.baseline[:, None] - draws.effects
    return Ranking(
        leader=keys[best],
        standings=tuple(
            Standing(
                key=keys[i],
                seeds=len(named[keys[i]]),
                loss=float(losses_fitted[i] if named[keys[i]] else means[i]),
                spread=deviation(table[i]),
                p_best=float(shares[i]),
                regret=float(costs[i]),
                difference=float(means[i] - means[best]),
                interval=interval(draws.effects[:, i] - draws.effects[:, best]),
                in_set=bool(inside[i]),
            )
            for i in order
        ),
        baseline_loss=float(losses_fitted[-1]),
        gain=float(gained.mean()),
        gain_interval=interval(gained.mean(axis=1)),
        gains={keys[i]: Gain(float(gained[:, i].mean()), interval(gained[:, i])) for i in order},
        noise=float(np.median(draws.noise)),
        seeds=max(len(named[key]) for key in keys),
        examples=len(next(iter(baseline.values()))),
        keys=keys,
        draws=draws,
    )


def fitted(table: Floats) -> Floats:
    """Losses (n,) of networks over all seeds that somebody was trained with, by least squares."""
    there = table[:, ~np.isnan(table).all(axis=0)]
    centre = np.nanmean(there)
    fit = additive(there - centre)
    found: Floats = centre + fit.rows + fit.columns.mean()
    return found


def hints_of(hints: Mapping[str, tuple[float, float]] | None, keys: Sequence[str]) -> Hints | None:
    """Hints as arrays in the order of `keys`, NaN for none."""
    if not hints:
        return None
    rows = np.array([hints.get(key, (np.nan, np.nan)) for key in keys])
    return rows[:, 0], rows[:, 1]


def with_examples(draws: Draws, losses: Mapping[str, Examples]) -> Draws:
    """Draws that vary with the choice of validation examples too, where there are any.

    `losses` has every candidate's, and the baseline's last. There are none where trials have one
    number alone, or not the same examples.
    """
    counts = {len(trial) for of in losses.values() for trial in of.values()}
    if len(counts) > 1 or min(counts) < 2:
        return draws
    arrays = {
        key: np.stack([of[seed] for seed in sorted(of)]).astype(np.float64)
        for key, of in losses.items()
        if of
    }
    moved = np.zeros((len(draws.effects), len(losses)))
    there = [i for i, key in enumerate(losses) if key in arrays]
    moved[:, there] = example_noise(example_covariance([*arrays.values()]), len(moved))
    return Draws(
        draws.effects + moved[:, :-1],
        draws.unshrunk + moved[:, :-1],
        draws.baseline + moved[:, -1],
        draws.noise,
    )


def deviation(losses: Floats) -> float:
    """Standard deviation over the seeds that are there; 0 for one."""
    there = losses[~np.isnan(losses)]
    return float(there.std(ddof=1)) if len(there) > 1 else 0.0
