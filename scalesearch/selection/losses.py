"""Losses as the selection and the policies compare them: of one epoch, networks by seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scalesearch.trials.curve import LearningCurve
from scalesearch.trials.key import TrialKey

# loss after each epoch, of a network with a seed
Curves = Mapping[tuple[str, int], Sequence[float]]


def curves_of(history: Mapping[TrialKey, LearningCurve]) -> Curves:
    """The losses alone of a part's learning curves."""
    return {
        (key.network, key.seed): [point.loss for point in curve] for key, curve in history.items()
    }


def losses_after(curves: Curves, epoch: int) -> dict[tuple[str, int], float]:
    """The loss after that epoch, of the trials that have reached it."""
    return {who: curve[epoch - 1] for who, curve in curves.items() if len(curve) >= epoch}


def end_losses(
    examples: Mapping[str, Mapping[int, NDArray[np.float32]]],
) -> dict[tuple[str, int], float]:
    """The mean loss of each trial's held-out examples, given by network and seed."""
    return {
        (network, seed): float(losses.mean(dtype=np.float64))
        for network, of_network in examples.items()
        for seed, losses in of_network.items()
    }


def loss_matrix(
    losses: Mapping[tuple[str, int], float], networks: Sequence[str], seeds: Sequence[int]
) -> NDArray[np.float64]:
    """Losses as (networks, seeds), NaN where a trial is missing."""
    rows = [[losses.get((network, seed), np.nan) for seed in seeds] for network in networks]
    return np.array(rows, dtype=np.float64).reshape(len(networks), len(seeds))
