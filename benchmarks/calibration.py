"""Is the answer as sure as it says? Simulated searches with a known truth, end to end.

python -m benchmarks.calibration [--searches N] [--worlds NAME ...] [--write]

Every search of a world (benchmarks/worlds.py) is run under the default policy and under those that
it is compared with, and what the answer says is held against the truth. `--write` keeps each world
in results/calibration.json as soon as it is done, leaves those alone that are there with as many
searches, and makes results/calibration.md of all.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bound import at_best
from benchmarks.calibration_page import BINS, page
from benchmarks.contenders import asynchronous, at_random, halving
from benchmarks.worlds import REPORTED, TUNED, Search, World, draw
from scalesearch.selection.adaptive import allowance, given, rounds
from scalesearch.selection.losses import Curves
from scalesearch.selection.posterior import in_set, p_best, regrets
from scalesearch.selection.ranking import with_examples
from scalesearch.selection.sampler import Floats, sample
from scalesearch.selection.terms import Policy, Terms

RESULTS = Path(__file__).parents[1] / "results"
SHARES = (0.3, 0.5)
COMPARED = 4  # one search in so many is run under the other policies too
CHAINS, SWEEPS = 96, 8  # of each answer here; a selection takes more


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of one search under one policy, and what was true."""

    policy: str
    spent: float
    regret: float
    right: float
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
    path = RESULTS / "calibration.json" if options.write else None
    found = kept(path)
    for place, world in enumerate(TUNED if options.tuning else REPORTED):
        if options.worlds and world.name not in options.worlds:
            continue
        if found.get(world.name, {}).get("searches", 0) < options.searches:
            rng = np.random.default_rng([options.seed, place, int(options.tuning)])
            figures = in_figures(world, answers(world, options.searches, rng))
            figures["at_best"] = at_best(world, rng)
            found = keep({**found, **kept(path), world.name: figures}, path)
        print(world.name, json.dumps(found[world.name]["default, 50%"]), flush=True)
    if path is None:
        print(page(found))


def kept(path: Path | None) -> dict[str, Any]:
    """The figures of the worlds that are done; another process may have added to them."""
    return json.loads(path.read_text()) if path and path.exists() else {}


def keep(found: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """The figures in the order of the worlds, written down with their page if there is a path."""
    order = [world.name for world in (*REPORTED, *TUNED)]
    found = dict(sorted(found.items(), key=lambda item: order.index(item[0])))
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n")
        path.with_suffix(".md").write_text(page(found))
    return found


def answers(world: World, searches: int, rng: np.random.Generator) -> Iterator[Answer]:
    """The default policy's answer to so many searches of a world, and the others' to some."""
    for i in range(searches):
        search = draw(world, rng)
        terms, curves = shown(search)
        yield by_default(search, curves, terms, SHARES[-1])
        yield by_grid(search, terms.seeds)
        if i % COMPARED == 0:
            yield from compared(search, curves, terms)


def shown(search: Search) -> tuple[Terms, Curves]:
    """A search's terms, and the losses of every trial that there could be."""
    k, (_, seeds, epochs) = len(search.truth), search.losses.shape
    terms = Terms(tuple(f"{i:02}" for i in range(k)), "1x", seeds, epochs)
    everyone = [*terms.candidates, terms.baseline]
    curves = {
        (key, seed): search.losses[i, seed].tolist()
        for i, key in enumerate(everyone)
        for seed in range(seeds)
    }
    return terms, curves


def compared(search: Search, curves: Curves, terms: Terms) -> Iterator[Answer]:
    """The answers of the other policies to a search, and of the default one to a smaller share."""
    if terms.seeds > 3:
        yield by_default(search, curves, terms, SHARES[0])
    for count in (2, 3):
        if count < terms.seeds:
            yield by_grid(search, count)
    for share in SHARES if terms.seeds > 3 else ():
        for name, policy in contenders(share).items():
            yield by_contender(search, policy, name, share, terms)


def contenders(share: float) -> dict[str, Policy]:
    """The policies that may spend the same share of the epochs."""
    return {
        "successive halving": halving(share),
        "ASHA": asynchronous(share),
        "random": at_random(share),
    }


def by_default(search: Search, curves: Curves, terms: Terms, share: float) -> Answer:
    """What the default policy's answer is when that share of the grid is spent, or it has ended.

    It is shown every trial, and looks at those alone that it asks for.
    """
    most = allowance(terms)
    if share < SHARES[-1]:
        most = int(share * len(terms.candidates) * terms.seeds)
    seeds = on_the_way(curves, terms, most)
    losses = given(curves, terms, [*terms.candidates, terms.baseline], seeds)
    spent = sum(seeds[key] for key in terms.candidates)
    return said(search, losses, f"default, {share:.0%}", spent)


def on_the_way(curves: Curves, terms: Terms, most: int) -> Mapping[str, int]:
    """How many seeds each network has when no further round fits into so many trials."""
    seeds: Mapping[str, int] = {}
    for seeds_then in rounds(curves, terms, allowance(terms)):
        if sum(seeds_then[key] for key in terms.candidates) > most:
            break
        seeds = seeds_then
    return seeds


def by_grid(search: Search, seeds: int) -> Answer:
    """What is answered after a full grid of that many seeds."""
    trials = seeds * len(search.truth)
    return said(search, search.losses[:, :seeds, -1], f"grid, {seeds} seeds", trials)


def said(search: Search, losses: Floats, policy: str, trials: int) -> Answer:
    """What the selection says after those losses (k + 1, seeds), NaN where no trial is."""
    draws = sample(losses[:-1], losses[-1], chains=CHAINS, sweeps=SWEEPS)
    if search.examples is not None:
        draws = with_examples(draws, of_examples(losses, search.examples))
    leader = int(draws.effects.mean(axis=0).argmin())
    inside = in_set(draws)
    return Answer(
        policy=policy,
        spent=trials / search.losses[:-1, :, 0].size,
        regret=float(search.truth[leader] - search.truth.min()),
        right=float(leader == search.best),
        said_regret=float(regrets(draws.effects)[leader]),
        p_best=float(p_best(draws.effects)[leader]),
        held=float(inside[search.best]),
        size=float(inside.sum()),
    )


def of_examples(losses: Floats, examples: Floats) -> dict[str, dict[int, Floats]]:
    """The losses of each trial's examples, by network, the baseline's last, and seed."""
    return {
        f"{i:02}": {seed: loss + examples[i] for seed, loss in enumerate(row) if not np.isnan(loss)}
        for i, row in enumerate(losses)
    }


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
    most = max(map(len, curves.values()))
    ends = [(place[key], c[-1]) for (key, _), c in curves.items() if len(c) == most]
    losses, of = np.array([loss for _, loss in ends]), np.array([i for i, _ in ends])
    counts = np.bincount(of, minlength=len(place))
    sums = np.bincount(of, losses - losses.mean(), minlength=len(place))
    picked = int(np.where(counts, sums / (counts + 1), np.inf).argmin())
    return Answer(
        policy=f"{name}, {share:.0%}",
        spent=sum(len(c) for c in curves.values()) / search.losses[:-1].size,
        regret=float(search.truth[picked] - search.truth.min()),
        right=float(picked == search.best),
    )


def in_figures(world: World, found: Iterator[Answer]) -> dict[str, Any]:
    """A world's figures: what it is, and of each policy means, regret's error, and P(best)."""
    every = list(found)
    figures: dict[str, Any] = {"world": {k: v for k, v in asdict(world).items() if v != np.inf}}
    for policy in dict.fromkeys(answer.policy for answer in every):
        figures[policy] = of_policy([answer for answer in every if answer.policy == policy])
    figures["searches"] = figures["default, 50%"]["searches"]
    whole = f"grid, {world.seeds} seeds"
    figures["ratio"] = ratio(
        *(np.array([a.regret for a in every if a.policy == p]) for p in ("default, 50%", whole))
    )
    return figures


def ratio(of: Floats, to: Floats) -> list[float]:
    """The ratio of two regrets of the same searches, and its standard error; none without any."""
    if not to.any():
        return []
    found = of.mean() / to.mean()
    error = (of - found * to).std() / to.mean() / np.sqrt(len(of))
    return [round(float(found), 4), round(float(error), 4)]


def of_policy(answers: Sequence[Answer]) -> dict[str, Any]:
    """Means over searches; the standard error of the regret; P(best) said and right, by bin."""
    values: Mapping[str, Floats] = {
        field.name: np.array([getattr(answer, field.name) for answer in answers])
        for field in fields(Answer)
        if field.name != "policy"
    }
    means = {name: float(column.mean()) for name, column in values.items()}
    bins = []
    for low, high in pairwise(BINS):
        there = (values["p_best"] >= low) & (values["p_best"] < high)
        if there.any():
            said, right = values["p_best"][there].mean(), values["right"][there].mean()
            bins.append((float(said), float(right), int(there.sum())))
    error = float(values["regret"].std() / np.sqrt(len(answers)))
    kept = {name: round(mean, 6) for name, mean in means.items() if not np.isnan(mean)}
    return {**kept, "regret_error": round(error, 6), "searches": len(answers), "bins": bins}


if __name__ == "__main__":
    main()
