"""What half of the grid's trials can reach: the default's rule where nothing is unknown.

python -m benchmarks.bound

Noise and the candidates' spread are known, seeds have no effects to reckon with, and every single
trial is followed by a decision. A policy that must estimate these, and hands out several trials at
once, cannot be expected to do better. As a script: what it costs to hand out several at once.
"""

import numpy as np
from scipy.special import ndtr

from benchmarks.worlds import REPORTED, World
from scalesearch.selection.adaptive import SHARE
from scalesearch.selection.sampler import Floats

SEARCHES = 8000
ROUNDS = (1, 2, 3)  # trials that are handed out at once
SHARED = 1.0  # seed effects beyond it, in units of the noise, are another problem


def main() -> None:
    """Print the ratios of plain worlds, for each number of trials that are handed out at once."""
    for world in filter(plain, REPORTED):
        found = [at_best(world, np.random.default_rng(1), at_once) for at_once in ROUNDS]
        print(f"{world.name:18}", *("{:.3f} +- {:.3f}".format(*ratio) for ratio in found), sep="  ")


def at_best(world: World, rng: np.random.Generator, at_once: int = 1) -> list[float]:
    """The regret over that of the full grid, and its error; none where the world is not plain."""
    if not plain(world):
        return []
    truth = rng.normal(0, world.spread, (SEARCHES, world.candidates))
    noise = rng.standard_normal((*truth.shape, world.seeds))
    trials = np.cumsum(truth[..., None] + noise, axis=2)
    spent, whole = world.candidates, world.candidates * world.seeds
    seeds = np.ones(truth.shape, dtype=int)
    while (left := int(SHARE * whole) - spent) > 0:
        value = values(*posterior(trials, seeds, world.spread), world.seeds - seeds)
        chosen = np.argsort(-value, axis=1)[:, : min(at_once, left)]
        np.put_along_axis(seeds, chosen, np.take_along_axis(seeds, chosen, axis=1) + 1, axis=1)
        spent += chosen.shape[1]
    of = regret(truth, trials, seeds, world.spread)
    to = regret(truth, trials, np.full_like(seeds, world.seeds), world.spread)
    found = of.mean() / to.mean()
    error = (of - found * to).std() / to.mean() / np.sqrt(SEARCHES)
    return [round(float(found), 4), round(float(error), 4)]


def plain(world: World) -> bool:
    """Whether a world's truths and noise are normal, and all candidates equally noisy."""
    normal = world.truth == "spread" and np.isinf(world.tails)
    normal = normal and not world.choice
    return normal and world.noisy == "none" and world.shared <= SHARED and world.seeds > 3


def posterior(trials: Floats, seeds: np.ndarray, spread: float) -> tuple[Floats, Floats]:
    """Means and variances of true losses after so many seeds, in units of the noise."""
    sums = np.take_along_axis(trials, seeds[..., None] - 1, axis=2)[..., 0]
    variances = 1 / (1 / spread**2 + seeds)
    return sums * variances, variances


def values(means: Floats, variances: Floats, left: np.ndarray) -> Floats:
    """By how much up to three more trials of each lower the regret; -inf where none is left."""
    moves = variances / np.sqrt(variances + 1 / np.clip(left, 1, 3))
    first, second = np.partition(means, 1, axis=1)[:, :2].T[..., None]
    apart = np.abs(means - np.where(means == first, second, first)) / moves
    density = np.exp(-np.square(apart) / 2) / np.sqrt(2 * np.pi)
    return np.where(left > 0, moves * (density - apart * ndtr(-apart)), -np.inf)


def regret(truth: Floats, trials: Floats, seeds: np.ndarray, spread: float) -> Floats:
    """What the candidate of the lowest posterior mean costs over the best, search by search."""
    picked = posterior(trials, seeds, spread)[0].argmin(axis=1)
    found: Floats = truth[np.arange(len(truth)), picked] - truth.min(axis=1)
    return found


if __name__ == "__main__":
    main()
