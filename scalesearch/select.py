"""The selection: which candidate is best, and how sure the trials are of it.

Seeds are shared by all candidates, so every comparison is a difference within a seed. Loss is the
validation cross-entropy after the last epoch; lower is better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate stands: its mean loss and what separates it from the leader.

    `interval` bounds the paired mean difference to the leader, leader itself 0..0.
    """

    key: str
    seeds: int
    loss: float
    spread: float
    p_best: float
    difference: float
    interval: tuple[float, float]
    in_set: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """The leader, every candidate's standing (best first), the gain over the 1x baseline.

    `gain` is the mean of baseline loss minus candidate loss over all candidates, with an interval.
    """

    leader: str
    standings: tuple[Standing, ...]
    gain: float
    gain_interval: tuple[float, float]
    seeds: int
    examples: int

    @property
    def confidence_set(self) -> tuple[str, ...]:
        """Keys of the candidates that are not told apart from the leader."""
        return tuple(standing.key for standing in self.standings if standing.in_set)

    @property
    def beats_baseline(self) -> bool:
        """Whether the candidates' gain over the baseline is beyond noise."""
        return self.gain_interval[0] > 0


def bootstrap_means(losses: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of `losses` (networks, seeds, examples) over resampled seeds and examples.

    Returned as (resamples, networks). Seeds and examples are drawn with replacement, the same
    for all networks, so that differences stay paired (a two-level bootstrap: Davison & Hinkley
    1997, section 3.8).
    """
    rng = np.random.default_rng(seed)
    networks, seeds, examples = losses.shape
    weights = rng.multinomial(examples, np.full(examples, 1 / examples), resamples) / examples
    by_seed = np.einsum("nse,re->rns", losses, weights, optimize=True)
    drawn = rng.integers(seeds, size=(resamples, seeds))
    picked = np.take_along_axis(by_seed, np.repeat(drawn[:, None], networks, 1), axis=2)
    means: NDArray[np.float64] = picked.mean(axis=2)
    return means


def select(
    losses: Mapping[str, Mapping[int, NDArray[np.float32]]],
    baseline: Mapping[int, NDArray[np.float32]],
    candidates: Sequence[str],
) -> Selection:
    """The selection over `candidates`, from the losses of examples by key and seed.

    Compared are the seeds that every candidate and the baseline finished. Raises ValueError when
    fewer than two are left: one seed says nothing about noise.
    """
    alive = [key for key in candidates if losses.get(key)]
    seeds = sorted(set.intersection(set(baseline), *(set(losses[key]) for key in alive)))
    if not alive or len(seeds) < 2:
        raise ValueError(
            f"a selection needs two seeds that every candidate and the baseline finished, got "
            f"{len(seeds)} for {len(alive)} candidates: run the study again with more seeds"
        )
    stack = [losses[key] for key in alive] + [baseline]
    cube = np.stack([[by_seed[seed] for seed in seeds] for by_seed in stack]).astype(np.float64)
    means, by_seed_means = cube.mean(axis=(1, 2)), cube.mean(axis=2)
    draws = bootstrap_means(cube, RESAMPLES, seed=0)
    best = draws[:, :-1] == draws[:, :-1].min(axis=1, keepdims=True)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    order = np.argsort(means[:-1], kind="stable")
    leader = order[0]
    standings = []
    for i in order:
        low, high = interval(draws[:, i] - draws[:, leader])
        standings.append(
            Standing(
                key=alive[i],
                seeds=len(seeds),
                loss=float(means[i]),
                spread=float(by_seed_means[i].std(ddof=1)),
                p_best=float(shares[i]),
                difference=float(means[i] - means[leader]),
                interval=(low, high),
                in_set=bool(i == leader or low <= 0),
            )
        )
    gain = draws[:, -1] - draws[:, :-1].mean(axis=1)
    return Selection(
        leader=alive[leader],
        standings=tuple(standings),
        gain=float(means[-1] - means[:-1].mean()),
        gain_interval=interval(gain),
        seeds=len(seeds),
        examples=cube.shape[2],
    )


def interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The central interval of bootstrap draws, at CONFIDENCE."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
