"""The ranking: which candidate is best, and how sure the trials are of it.

Seeds are shared by all candidates, so every comparison is a difference within a seed. Loss is the
validation cross-entropy after the last epoch; lower is better.

Uncertainty has two levels. Seeds: losses are a candidate's effect plus a seed's plus noise, whose
variance is pooled over all candidates, so that a few seeds tell it; resampling three seeds, as a
plain bootstrap does, understates it. Examples: the covariance of the candidates' losses over the
validation examples. Draws of the candidates' means from both give all that is said here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalesearch.selection.effects import (
    Floats,
    example_covariance,
    fit_effects,
    interval,
)
from scalesearch.selection.losses import end_losses, loss_matrix

BASELINE = "1x"  # its name among candidates' keys


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate stands: its loss, and what separates it from the leader.

    `loss` is fitted over seeds (`fit_effects`), so that candidates of different seeds compare; of
    the same seeds it is their mean. `spread` is the seeds' standard deviation; `interval` bounds
    the paired difference to the leader, leader itself 0..0; `regret` is the loss that choosing it
    is expected to cost over the best; `in_set` whether it may be best.
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

    `gain` is the baseline's loss minus the candidates' mean, with an interval; `gains` is that of
    each candidate; `noise` the standard deviation of a loss from one seed, what seeds share apart.
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

    @property
    def confidence_set(self) -> tuple[str, ...]:
        """Keys of the candidates that may be best, as far as the trials can tell."""
        return tuple(standing.key for standing in self.standings if standing.in_set)

    @property
    def beats_baseline(self) -> bool:
        """Whether the candidates' gain over the baseline is beyond noise."""
        return self.gain_interval[0] > 0


def rank(
    losses: Mapping[str, Mapping[int, NDArray[np.float32]]],
    baseline: Mapping[int, NDArray[np.float32]],
    candidates: Sequence[str],
) -> Ranking:
    """The ranking of `candidates`, from the losses of examples by key and seed.

    All are of trials of the same epochs. Candidates without one are left out, and those with one
    alone where others have two: Optuna's halving leaves such. Raises ValueError when fewer than
    two seeds are left: one seed says nothing about noise.
    """
    alive = sorted(key for key in candidates if losses.get(key))
    alive = [key for key in alive if len(losses[key]) > 1] or alive
    named = {**{key: losses[key] for key in alive}, BASELINE: baseline}
    networks = [*named.values()]
    seeds = sorted({seed for of_network in networks for seed in of_network})
    if not alive or not baseline or len(seeds) < 2:
        raise ValueError(
            f"a selection needs two seeds that every candidate and the baseline finished, got "
            f"{len(seeds)} for {len(alive)} candidates: run the study again with more seeds"
        )
    arrays = [np.stack([of[seed] for seed in sorted(of)]).astype(np.float64) for of in networks]
    means = loss_matrix(end_losses(named), [*named], seeds)
    effects = fit_effects(means, example_covariance(arrays))
    among = slice(0, len(alive))
    shares, regrets = effects.p_best(among), effects.regrets(among)
    inside = effects.may_be_best(among)
    order = np.argsort(effects.means[among], kind="stable")
    leader = order[0]
    standings = tuple(
        Standing(
            key=alive[i],
            seeds=len(networks[i]),
            loss=float(effects.means[i]),
            spread=deviation(means[i]),
            p_best=float(shares[i]),
            regret=float(regrets[i]),
            difference=float(effects.means[i] - effects.means[leader]),
            interval=interval(effects.draws[:, i] - effects.draws[:, leader]),
            in_set=bool(inside[i]),
        )
        for i in order
    )
    return Ranking(
        leader=alive[leader],
        standings=standings,
        baseline_loss=float(effects.means[-1]),
        gain=float(effects.means[-1] - effects.means[among].mean()),
        gain_interval=interval(effects.draws[:, -1] - effects.draws[:, among].mean(axis=1)),
        gains={
            alive[i]: Gain(
                float(effects.means[-1] - effects.means[i]),
                interval(effects.draws[:, -1] - effects.draws[:, i]),
            )
            for i in order
        },
        noise=effects.spread,
        seeds=max(len(of_network) for of_network in networks[:-1]),
        examples=arrays[0].shape[1],
    )


def deviation(losses: Floats) -> float:
    """Standard deviation over the seeds that are there; 0 for one."""
    there = losses[~np.isnan(losses)]
    return float(there.std(ddof=1)) if len(there) > 1 else 0.0
