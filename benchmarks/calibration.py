"""Is the answer as sure as it says? Simulated searches with a known truth, end to end.

python benchmarks/calibration.py [--searches N] [--worlds NAME ...] [--write]

Every search of a world (benchmarks/worlds.py) is run under the default policy and under those that
it is compared with; what the answer says is held against the truth. `--write` renews the lines of
those worlds in results/calibration.csv and .json, and results/calibration.md from all of them.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.contenders import asynchronous, at_random, halving
from benchmarks.worlds import REPORTED, TUNED, Search, World, draw
from scalesearch.selection.adaptive import given, walk
from scalesearch.selection.losses import Curves
from scalesearch.selection.posterior import in_set, p_best, regrets
from scalesearch.selection.sampler import Floats, sample
from scalesearch.selection.terms import Policy, Terms

RESULTS = Path(__file__).parents[1] / "results"
SHARES = (0.3, 0.5)
BINS = (0.0, 0.4, 0.6, 0.8, 0.95, 1.0001)
ENOUGH = 100  # searches that a bin must have to be judged
CHAINS, SWEEPS = 128, 8  # of each answer here; `select` takes more


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one search under one policy, and what was true."""

    policy: str
    spent: float
    regret: float
    right: bool
    said_regret: float = np.nan
    p_best: float = np.nan
    held: float = np.nan
    size: float = np.nan


def main() -> None:
    """Run the worlds, print what was found, write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--searches", type=int, default=1000)
    parser.add_argument("--worlds", nargs="*", default=[])
    parser.add_argument("--tuning", action="store_true", help="the worlds that were tuned on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    for place, world in enumerate(TUNED if options.tuning else REPORTED):
        if options.worlds and world.name not in options.worlds:
            continue
        started = time.monotonic()
        seeds = np.random.SeedSequence([options.seed, place, options.tuning])
        answers = run(world, options.searches, np.random.default_rng(seeds))
        print(in_brief(world, answers), f"{time.monotonic() - started:.0f} s", flush=True)


def run(world: World, searches: int, rng: np.random.Generator) -> list[Answer]:
    """The answers of every policy to that many searches of a world."""
    found: list[Answer] = []
    for _ in range(searches):
        found += answers_to(draw(world, rng))
    return found


def answers_to(search: Search) -> list[Answer]:
    """The answers of every policy to one search."""
    k, (_, seeds, epochs) = len(search.truth), search.losses.shape
    keys = tuple(f"{i:02}" for i in range(k))
    terms = Terms(keys, "1x", seeds, epochs)
    everyone = [*keys, terms.baseline]
    curves = {
        (key, seed): search.losses[i, seed].tolist()
        for i, key in enumerate(everyone)
        for seed in range(seeds)
    }
    found = [by_default(search, curves, terms, share) for share in SHARES]
    found += [by_grid(search, count) for count in (2, 3, 8) if count <= seeds]
    for share in SHARES if seeds > 3 else ():
        for name, policy in contenders(share).items():
            found.append(by_contender(search, policy, name, share, terms))
    return found


def contenders(share: float) -> dict[str, Policy]:
    """The policies that may spend the same share of the epochs."""
    return {
        "successive halving": halving(share),
        "ASHA": asynchronous(share),
        "random": at_random(share),
    }


def by_default(search: Search, curves: Curves, terms: Terms, share: float) -> Answer:
    """What the default policy's answer is: it is shown every trial, and looks at its own alone."""
    found = walk(curves, terms, int(share * len(terms.candidates) * terms.seeds))
    assert found.ended, "every trial is there"
    keys = [*terms.candidates, terms.baseline]
    losses = given(curves, terms, keys, found.seeds)
    spent = sum(found.seeds[key] for key in terms.candidates)
    return said(search, losses, f"default, {share:.0%}", spent)


def by_grid(search: Search, seeds: int) -> Answer:
    """What is answered after a full grid of that many seeds."""
    losses = search.losses[:, :seeds, -1]
    return said(search, losses, f"grid, {seeds} seeds", seeds * len(search.truth))


def said(search: Search, losses: Floats, policy: str, trials: int) -> Answer:
    """What the selection says after those losses (k + 1, seeds), NaN where no trial is."""
    draws = sample(losses[:-1], losses[-1], chains=CHAINS, sweeps=SWEEPS)
    leader = int(draws.effects.mean(axis=0).argmin())
    inside = in_set(draws)
    return Answer(
        policy=policy,
        spent=trials / search.losses[:-1, :, 0].size,
        regret=float(search.truth[leader] - search.truth.min()),
        right=leader == search.best,
        said_regret=float(regrets(draws.effects)[leader]),
        p_best=float(p_best(draws.effects)[leader]),
        held=float(inside[search.best]),
        size=float(inside.sum()),
    )


def by_contender(search: Search, policy: Policy, name: str, share: float, terms: Terms) -> Answer:
    """What another policy picks: the lowest mean of the trials that reached the last epoch.

    Means are drawn towards that of all by one trial, so that a single lucky one does not win.
    """
    curves: dict[tuple[str, int], list[float]] = {}
    place = {key: i for i, key in enumerate(terms.candidates)}
    while asks := policy(curves, terms).asks:
        for ask in asks:
            losses = search.losses[place[ask.key], ask.seed, : ask.epochs]
            curves[ask.key, ask.seed] = losses.tolist()
    ends = [(place[key], c[-1]) for (key, _), c in curves.items() if len(c) == terms.epochs]
    losses, of = np.array([loss for _, loss in ends]), np.array([i for i, _ in ends])
    counts = np.bincount(of, minlength=len(place))
    sums = np.bincount(of, losses - losses.mean(), minlength=len(place))
    picked = int(np.where(counts, sums / (counts + 1), np.inf).argmin())
    return Answer(
        policy=f"{name}, {share:.0%}",
        spent=sum(len(c) for c in curves.values()) / search.losses[:-1].size,
        regret=float(search.truth[picked] - search.truth.min()),
        right=picked == search.best,
    )


def in_brief(world: World, answers: Sequence[Answer]) -> str:
    """What was found in a world, in a few lines."""
    lines = [f"## {world.name}: {world.candidates} candidates, {world.seeds} seeds"]
    for policy in dict.fromkeys(answer.policy for answer in answers):
        of_policy = [answer for answer in answers if answer.policy == policy]
        mean = {
            key: np.mean([asdict(a)[key] for a in of_policy])
            for key in asdict(of_policy[0])
            if key != "policy"
        }
        lines.append(
            f"{policy:24} spent {mean['spent']:4.0%} right {mean['right']:4.0%} regret "
            f"{mean['regret'] / 0.43:.3%} (said {mean['said_regret'] / 0.43:.3%}) set holds "
            f"{mean['held']:6.1%} size {mean['size']:4.1f} P {bins_text(of_policy)}"
        )
    return "\n".join(lines)


def bins_text(answers: Sequence[Answer], enough: int = 30) -> str:
    """P(best) said, how often that was right, of how many, for each bin."""
    shares, right = np.array([a.p_best for a in answers]), np.array([a.right for a in answers])
    found = []
    for low, high in pairwise(BINS):
        there = (shares >= low) & (shares < high)
        if there.sum() >= enough:
            said, true = shares[there].mean(), right[there].mean()
            found.append(f"{100 * said:.0f}/{100 * true:.0f} ({there.sum()})")
    return ", ".join(found)


if __name__ == "__main__":
    main()
