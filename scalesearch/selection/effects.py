"""Networks' effects without shrinkage, and what the choice of validation examples leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalesearch.selection.sampler import Floats, sample


@dataclass(frozen=True, slots=True)
class Effects:
    """Networks' losses as fitted, (k,), and draws of them, (draws, k)."""

    means: Floats
    draws: Floats


def fit_effects(losses: Floats, examples: Floats | None = None) -> Effects:
    """Networks' effects from `losses` (networks, seeds), NaN where a trial is missing.

    Every network has a loss of its own, whatever the others' are. `examples` is the covariance
    (k, k) of the means that the choice of validation examples leaves. Raises ValueError where
    noise cannot be told from effects, or a network has no trial.
    """
    if np.isnan(losses).all(axis=1).any():
        raise ValueError("every network must have a trial that finished: train more seeds")
    draws = sample(losses, np.full(losses.shape[1], np.nan)).unshrunk
    if examples is not None:
        draws = draws + example_noise(examples, len(draws))
    return Effects(draws.mean(axis=0), draws)


def example_noise(covariance: Floats, draws: int) -> Floats:
    """Draws (draws, k) of what the choice of examples does to the means."""
    normal = np.random.default_rng(1).standard_normal((draws, len(covariance)))
    return normal @ square_root(covariance)


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
