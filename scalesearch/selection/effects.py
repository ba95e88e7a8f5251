"""Candidates' effects, fitted to the losses of trials, and what draws of them say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGRET = 0.0025  # expected regret, as a share of the leader's loss, at which more is not worth it

DRAWS = 4000
CONFIDENCE = 0.95
Floats = NDArray[np.float64]


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

    A candidate's mean is over all seeds that someone was trained with: that of its own losses
    where it has them all, else corrected by the effects of the seeds that it lacks.
    Least squares of candidate + seed effects; `examples` is the covariance (k, k) of the means
    that the choice of validation examples leaves. Raises ValueError where the trials do not tell
    noise from effects: fewer than two seeds shared by two networks.
    """
    # a seed without a trial has no effect that could be told, and must take no part in their sum
    losses = losses[:, ~np.isnan(losses).all(axis=0)]
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


def interval(draws: Floats) -> tuple[float, float]:
    """The central interval of draws, at CONFIDENCE."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)
