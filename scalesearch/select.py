"""The selection: which candidate is best, and how sure the trials are of it.

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

DRAWS = 4000
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one candidate stands: its mean loss and what separates it from the leader.

    `interval` bounds the paired mean difference to the leader, leader itself 0..0; `regret` is
    the loss that choosing it is expected to cost over the best; `in_set` whether it may be best.
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
class Selection:
    """The leader, every candidate's standing (best first), the gain over the 1x baseline.

    `gain` is the mean of baseline loss minus candidate loss over all candidates, with an interval;
    `noise` the standard deviation of a candidate's loss from one seed, what seeds share apart.
    """

    leader: str
    standings: tuple[Standing, ...]
    gain: float
    gain_interval: tuple[float, float]
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


@dataclass(frozen=True, slots=True)
class Effects:
    """Candidates' mean losses as fitted, (k,), and draws of them, (draws, k).

    `spread` is the standard deviation of the noise of one trial, `freedom` its degrees of freedom.
    """

    means: Floats
    draws: Floats
    spread: float
    freedom: int

    def p_best(self, among: slice = slice(None)) -> Floats:
        """Each candidate's share of the draws in which it has the lowest loss; ties share."""
        draws = self.draws[:, among]
        best = draws == draws.min(axis=1, keepdims=True)
        shares: Floats = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
        return shares

    def regrets(self, among: slice = slice(None)) -> Floats:
        """What choosing each is expected to cost over the best of them."""
        draws = self.draws[:, among]
        regrets: Floats = (draws - draws.min(axis=1, keepdims=True)).mean(axis=0)
        return regrets

    def may_be_best(self, among: slice = slice(None)) -> NDArray[np.bool_]:
        """Which candidates the confidence set holds: it holds the best at CONFIDENCE.

        A candidate is out when it is worse than some other by more than the largest of all its
        differences is by chance (multiple comparisons with the best: Hsu 1984, Annals of
        Statistics 12:1136).
        """
        means, noise = self.means[among], self.draws[:, among] - self.means[among]
        inside = np.ones(len(means), dtype=bool)
        for i in range(len(means)):
            apart = noise[:, [i]] - noise
            scale = apart.std(axis=0)
            others = scale > 0
            inside[i] = not ((means[i] > means) & ~others).any()
            if others.any():
                critical = np.quantile((apart[:, others] / scale[others]).max(axis=1), CONFIDENCE)
                reached = ((means[i] - means)[others] / scale[others]).max()
                inside[i] &= bool(reached <= critical)
        return inside


def fit_effects(losses: Floats, examples: Floats | None = None, draws: int = DRAWS) -> Effects:
    """Candidates' effects from `losses` (candidates, seeds), NaN where a trial is missing.

    Least squares of candidate + seed effects; `examples` is the covariance (k, k) of the means
    that the choice of validation examples leaves. Raises ValueError where the trials do not tell
    noise from effects: fewer than two seeds shared by two networks.
    """
    here = ~np.isnan(losses)
    rows, seeds = np.nonzero(here)
    k, n = losses.shape
    design = np.zeros((len(rows), k + n))
    design[np.arange(len(rows)), rows] = 1
    design[np.arange(len(rows)), k + seeds] = 1
    # the seeds' effects add up to zero: what they share is in the candidates' means
    design = np.hstack([design[:, :k], design[:, k : k + n - 1] - design[:, [k + n - 1]]])
    freedom = len(rows) - int(np.linalg.matrix_rank(design))
    if freedom < 1 or not here.any(axis=1).all():
        raise ValueError(
            "a selection needs two seeds that every candidate and the baseline finished, got "
            f"{len(rows)} trials of {k} networks: run the study again with more seeds"
        )
    solved = np.linalg.pinv(design.T @ design)
    found = solved @ design.T @ losses[here]
    variance = float(np.square(losses[here] - design @ found).sum()) / freedom
    rng = np.random.default_rng(0)
    scale = np.sqrt(freedom / rng.chisquare(freedom, draws))[:, None]  # Student's t
    normal = rng.standard_normal((draws, k)) @ square_root(variance * solved[:k, :k])
    drawn = found[:k] + scale * normal
    if examples is not None:
        drawn = drawn + rng.standard_normal((draws, k)) @ square_root(examples)
    return Effects(found[:k], drawn, float(np.sqrt(variance)), freedom)


def square_root(covariance: Floats) -> Floats:
    """A symmetric square root, of the nearest matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def example_covariance(losses: Sequence[Floats]) -> Floats:
    """Covariance of the networks' mean losses from the choice of examples alone, (k, k).

    `losses` has (seeds, examples) of each network. What differs between a network's seeds on one
    example is noise of the seeds, and is taken off.
    """
    means = np.stack([of_network.mean(axis=0) for of_network in losses])
    count = means.shape[1]
    covariance: Floats = np.atleast_2d(np.cov(means)) / count
    for i, of_network in enumerate(losses):
        if len(of_network) > 1:
            within = of_network - of_network.mean(axis=1, keepdims=True)
            noise = within.var(axis=0, ddof=1).mean() / len(of_network)
            covariance[i, i] -= noise / count
    return covariance


def select(
    losses: Mapping[str, Mapping[int, NDArray[np.float32]]],
    baseline: Mapping[int, NDArray[np.float32]],
    candidates: Sequence[str],
) -> Selection:
    """The selection over `candidates`, from the losses of examples by key and seed.

    All are of trials of the same epochs. Candidates without one are left out, and those with one
    alone where others have two: Optuna's halving leaves such. Raises ValueError when fewer than
    two seeds are left: one seed says nothing about noise.
    """
    alive = sorted(key for key in candidates if losses.get(key))
    alive = [key for key in alive if len(losses[key]) > 1] or alive
    networks = [losses[key] for key in alive] + [baseline]
    seeds = sorted({seed for of_network in networks for seed in of_network})
    if not alive or not baseline or len(seeds) < 2:
        raise ValueError(
            f"a selection needs two seeds that every candidate and the baseline finished, got "
            f"{len(seeds)} for {len(alive)} candidates: run the study again with more seeds"
        )
    arrays = [np.stack([of[seed] for seed in sorted(of)]).astype(np.float64) for of in networks]
    means = np.array(
        [
            [of[seed].mean(dtype=np.float64) if seed in of else np.nan for seed in seeds]
            for of in networks
        ]
    )
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
    return Selection(
        leader=alive[leader],
        standings=standings,
        gain=float(effects.means[-1] - effects.means[among].mean()),
        gain_interval=interval(effects.draws[:, -1] - effects.draws[:, among].mean(axis=1)),
        noise=effects.spread,
        seeds=max(len(of_network) for of_network in networks[:-1]),
        examples=arrays[0].shape[1],
    )


def deviation(losses: Floats) -> float:
    """Standard deviation over the seeds that are there; 0 for one."""
    there = losses[~np.isnan(losses)]
    return float(there.std(ddof=1)) if len(there) > 1 else 0.0


def interval(draws: Floats) -> tuple[float, float]:
    """The central interval of draws, at CONFIDENCE."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
