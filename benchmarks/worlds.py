"""Worlds with a known truth: what every trial of a made-up search would bring.

A loss is a candidate's true loss after that epoch, plus what its seed shares with all, plus the
trial's own noise. Sizes are those of the first version's tabular benchmark, of eight epochs: a loss
of 0.43, of which a trial's own noise is 0.012 after the last epoch and three times that half-way.
Around the lattice they are those of today's (results/lattice-fashion-mnist).
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.selection.replay import read_table

Floats = NDArray[np.float64]
LATTICE = Path(__file__).parents[1] / "results" / "lattice-fashion-mnist"
LOSS = 0.43
NOISE = 0.012
EPOCHS = 8
# of that benchmark after each epoch, over those after the last: a trial's own noise, the spread of
# candidates; the correlation of a trial's noise half-way with that at its end is 0.34
NOISES = np.array([44.0, 15.0, 5.7, 3.1, 3.1, 1.7, 1.05, 1.0])
SPREADS = np.array([4.0, 3.0, 2.0, 1.7, 1.3, 1.1, 1.0, 1.0])
KEPT = 0.34
EXAMPLES = 200  # of validation, where their choice matters


@dataclass(frozen=True, slots=True)
class World:
    """How searches are made up; `spread`, `shared` and `gain` are in units of `noise`.

    `truth` is how candidates' true losses lie: equal, spread (normal), even (equal steps), clear
    (one stands apart) or lattice (the tabular benchmark's). `noisy` names whose trials are `times`
    as noisy: none, one, best. `tails` are degrees of freedom of Student's t. `half` is the
    correlation of true losses half-way with those at the end. `choice` is what the choice of the
    validation examples does to each network, to all its seeds alike, in units of `noise`; the
    answer is `told` their losses, or one number a trial, as of a training without them.
    """

    name: str
    candidates: int = 9
    seeds: int = 8
    truth: str = "spread"
    spread: float = 1.0
    noise: float = NOISE
    shared: float = 0.1
    noisy: str = "none"
    times: float = 3.0
    tails: float = np.inf
    half: float = 0.9
    gain: float = 2.5
    choice: float = 0.0
    told: bool = True


@dataclass(frozen=True, slots=True)
class Search:
    """One made-up search: true losses (k,), the best of them, losses (k + 1, seeds, epochs), and,
    where they are told, by how much examples' losses differ from their mean (k + 1, examples)."""

    truth: Floats
    best: int
    losses: Floats
    examples: Floats | None = None


def draw(world: World, rng: np.random.Generator) -> Search:
    """One search of a world; the baseline's losses are the last."""
    search = on_all_images(world, rng)
    return on_few_images(search, world, rng) if world.choice else search


def on_few_images(search: Search, world: World, rng: np.random.Generator) -> Search:
    """The search as it is seen on examples that were chosen at random: its truth stays."""
    scale = world.choice * world.noise * EXAMPLES**0.5
    drawn = scale * rng.standard_normal((len(search.losses), EXAMPLES))
    moved = drawn.mean(axis=1, keepdims=True)
    told = drawn - moved if world.told else None
    return replace(search, losses=search.losses + moved[:, :, None], examples=told)


def on_all_images(world: World, rng: np.random.Generator) -> Search:
    """One search of a world whose truth is what its validation examples tell on the average."""
    if world.truth == "lattice":
        return around_the_lattice(world, rng)
    effects = true_effects(world, rng)
    # where all are equal one of them is called the best: a set must hold any
    best = int(rng.integers(len(effects)) if world.truth == "equal" else effects.argmin())
    everyone = np.append(effects, world.gain)
    losses = on_the_way(everyone, world, rng)[:, None, :] + shared(world, rng)
    losses = LOSS + world.noise * (losses + own_noise(world, best, rng))
    return Search(LOSS + world.noise * effects, best, losses)


def true_effects(world: World, rng: np.random.Generator) -> Floats:
    """Candidates' true losses at the end less their mean, in units of the noise."""
    k = world.candidates
    if world.truth == "equal":
        return np.zeros(k)
    if world.truth == "even":
        steps = np.arange(k) - (k - 1) / 2
        return rng.permutation(steps / steps.std()) * world.spread
    effects = rng.normal(0, world.spread, k)
    if world.truth == "clear":
        effects = 0.3 * effects
        effects[rng.integers(k)] -= 5 * world.spread
    return effects


def on_the_way(effects: Floats, world: World, rng: np.random.Generator) -> Floats:
    """True losses after each epoch (n, epochs), which turn into those at the end.

    The correlation with the end is the cosine of an angle that closes evenly with the epochs.
    """
    ahead = (1 - np.arange(1, EPOCHS + 1) / EPOCHS) / 0.5
    angles = np.minimum(np.arccos(world.half) * ahead, np.pi)
    other = rng.normal(0, max(world.spread, 1e-9), len(effects))[:, None]
    return SPREADS * (np.cos(angles) * effects[:, None] + np.sin(angles) * other)


def shared(world: World, rng: np.random.Generator) -> Floats:
    """What a seed does to all networks alike, (1, seeds, epochs)."""
    return world.shared * rng.normal(0, 1, (1, world.seeds, 1)) * np.ones(EPOCHS)


def own_noise(world: World, best: int, rng: np.random.Generator) -> Floats:
    """Trials' own noise, (n, seeds, epochs)."""
    scale = np.ones(world.candidates + 1)
    if world.noisy != "none":
        others = [i for i in range(world.candidates) if i != best]
        scale[best if world.noisy == "best" else rng.choice(others)] = world.times
    shape = (len(scale), world.seeds, EPOCHS)
    if np.isinf(world.tails):
        noise = rng.standard_normal(shape)
    else:
        noise = rng.standard_t(world.tails, shape) * np.sqrt(1 - 2 / world.tails)
    early = KEPT * noise[:, :, -1:] + np.sqrt(1 - KEPT**2) * noise[:, :, :-1]
    noise = np.concatenate([early, noise[:, :, -1:]], axis=2)
    return scale[:, None, None] * NOISES * noise


@cache
def lattice() -> tuple[Floats, Floats]:
    """The tabular benchmark's losses shrunk to what is no noise (n, epochs), its noise's root."""
    losses = read_table(LATTICE).losses
    means = losses.mean(axis=1)
    left = losses - means[:, None] - losses.mean(axis=0) + losses.mean(axis=(0, 1))
    seeds, freedom = losses.shape[1], (losses.shape[0] - 1) * (losses.shape[1] - 1)
    covariance = np.einsum("nse,nsf->ef", left, left) / freedom
    noise = np.diag(covariance) / seeds
    of_candidates = means[:-1].mean(axis=0)
    found = np.var(means[:-1], axis=0, ddof=1)
    kept = np.sqrt(np.clip(1 - noise / found, 0, 1))  # so that the spread is the true one's
    shrunk = means.copy()
    shrunk[:-1] = of_candidates + kept * (means[:-1] - of_candidates)
    return shrunk, np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance)))


def around_the_lattice(world: World, rng: np.random.Generator) -> Search:
    """Fresh trials of the tabular benchmark's networks, in another order."""
    means, root = lattice()
    order = np.append(rng.permutation(len(means) - 1), len(means) - 1)
    noise = rng.standard_normal((len(means), world.seeds, means.shape[1])) @ root.T
    truth = means[order][:-1, -1]
    return Search(truth, int(truth.argmin()), means[order][:, None, :] + noise)


REPORTED = (
    World("equal truths", truth="equal"),
    World("spread truths"),
    World("small spread", spread=0.5),
    World("large spread", spread=2.0),
    World("even steps", truth="even"),
    World("clear winner", truth="clear"),
    World("5 candidates", candidates=5),
    World("20 candidates", candidates=20),
    World("40 candidates", candidates=40),
    World("one is 3x noisier", noisy="one"),
    World("the best is 3x noisier", noisy="best"),
    World("heavy tails", tails=3.0),
    World("strong seed effects", shared=4.0),
    World("half-way 0.5", half=0.5),
    World("half-way 0.7", half=0.7),
    World("half-way 0.99", half=0.99),
    World("crossing curves", half=-0.8),
    World("around the lattice", candidates=10, truth="lattice"),
    World("3 seeds", seeds=3),
    World("2 seeds", seeds=2),
    World("2 seeds, the best is noisier", seeds=2, noisy="best"),
    World("2 seeds, few images, no difference", seeds=2, truth="equal", noise=0.05, gain=0.0),
    World("chosen examples, told", choice=0.5),
    World("chosen examples, one number a trial", choice=0.5, told=False),
    # the most that any committed study with examples' losses has (results/benchmarks/choice.md)
    World("chosen as in our studies, one number a trial", choice=0.21, told=False),
)
# figures were chosen on these, and on other random numbers
TUNED = (
    World("equal", candidates=8, truth="equal"),
    World("spread", candidates=10, spread=0.8),
    World("wide", candidates=7, spread=1.6),
    World("15 candidates", candidates=15, spread=1.2),
    World("noisy", candidates=10, noisy="one", times=2.5),
    World("noisy best", candidates=10, noisy="best", times=2.5),
    World("tails", candidates=8, tails=4.0),
    World("seeds", candidates=10, shared=2.5),
    World("6 seeds", seeds=6, candidates=10),
    World("2 seeds", seeds=2, candidates=7),
)
