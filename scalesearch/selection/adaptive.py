"""The default policy: whole trials, round after round, of the candidates where they tell most.

Every candidate and the baseline get a seed, and the better half of them a second, which tells noise
from effects. Then a round gives another seed to those candidates whose next trials are expected to
lower the regret most: the value of information of a few more trials under linear loss (Chick &
Inoue 2001, Operations Research 49:732; the knowledge gradient of Frazier, Powell & Dayanik 2008,
SIAM J. Control Optim. 47:2410), on effects that are shrunk by their estimated spread and with every
candidate's own noise. No trial is cut short and no candidate is dropped: one that looks bad gets
its second seed last and no further ones, and stays in the comparison.

Rounds are worked out anew from the losses at every call, each from the rounds before it alone. So
neither an interruption nor the order in which a round's trials end changes what follows; nor do
second seeds that are trained before their round, while workers would else be idle.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from scalesearch.selection.losses import Curves, loss_matrix, losses_after
from scalesearch.selection.posterior import regrets
from scalesearch.selection.sampler import Draws, Floats, sample
from scalesearch.selection.terms import Ask, Decision, Terms, missing

SHARE = 0.5  # of the full grid's trials
FEWEST = 2  # seeds of every candidate in the end: one may be luck
ON_AVERAGE = 3  # seeds a candidate, where the share allows less: two tell little of noise
ROUND = 4  # a round has one in so many candidates, but for MIN_ROUND
MIN_ROUND = 2  # with noise known 2 at once cost 1.07 of the 8-seed grid's regret, 3 cost 1.09
AHEAD = 3  # trials whose value is looked at together: one alone may change no ranking
RESOLVED = 0.002  # of the gain over 1x: an expected regret below it is not worth more trials
CHAINS, SWEEPS = 48, 8  # fewer than a selection's: a round needs no second digit


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a search has come: seeds given to each network, what is missing, why it ended."""

    seeds: Mapping[str, int]
    asks: tuple[Ask, ...]
    ended: str = ""


def adaptive(curves: Curves, terms: Terms) -> Decision:
    """The trials that the present round lacks; none, and why, where the search has ended."""
    found = walk(curves, terms, allowance(terms))
    return Decision(found.asks, {}, found.ended, owed(curves, terms, found))


def owed(curves: Curves, terms: Terms, so_far: Walk) -> tuple[Ask, ...]:
    """Trials that a later round gives in any case: all networks come to FEWEST seeds."""
    if not so_far.asks or len(terms.candidates) == 1:
        return ()
    keys, seeds = (terms.baseline, *terms.candidates), range(min(FEWEST, terms.seeds))
    later = missing(curves, terms, keys, seeds, terms.epochs)
    return tuple(ask for ask in later if ask not in so_far.asks)


def walk(curves: Curves, terms: Terms, trials: int) -> Walk:
    """How far a search of so many trials comes with the losses at hand."""
    for seeds in rounds(curves, terms, trials):
        if asks := lacking(curves, terms, seeds):
            return Walk(seeds, asks)
    return Walk(seeds, (), next_round(curves, terms, seeds, trials)[1])


def rounds(curves: Curves, terms: Terms, trials: int) -> Iterator[dict[str, int]]:
    """Seeds given to each network after every round; the last that the losses do not suffice for,
    or with which the search has ended."""
    seeds = dict.fromkeys((terms.baseline, *terms.candidates), 1)
    yield seeds
    while not lacking(curves, terms, seeds):
        chosen, _ = next_round(curves, terms, seeds, trials)
        if not chosen:
            return
        seeds = {key: count + (key in chosen) for key, count in seeds.items()}
        seeds[terms.baseline] = max(seeds[key] for key in terms.candidates)
        yield seeds


def lacking(curves: Curves, terms: Terms, seeds: Mapping[str, int]) -> tuple[Ask, ...]:
    """Trials that were given to a network and have not ended."""
    return tuple(
        ask
        for seed in range(terms.seeds)
        for ask in missing(
            curves, terms, [key for key in seeds if seed < seeds[key]], [seed], terms.epochs
        )
    )


def next_round(
    curves: Curves, terms: Terms, seeds: Mapping[str, int], trials: int
) -> tuple[list[str], str]:
    """The candidates that get another seed, or none and why."""
    keys = sorted(terms.candidates)
    table = given(curves, terms, [*keys, terms.baseline], seeds)
    open_to = [i for i, key in enumerate(keys) if seeds[key] < terms.seeds]
    behind = [i for i in open_to if seeds[keys[i]] < FEWEST]
    left = trials - sum(seeds[key] for key in keys)
    if np.isnan(table[:-1]).all():
        again = [] if len(keys) == 1 else [keys[i] for i in behind]
        return again, "" if again else "every candidate failed"
    if len(keys) == 1 or not open_to:
        return [], "every seed was used" if len(keys) > 1 else "there is one candidate"
    if left <= 0:
        whole = len(keys) * terms.seeds
        return [], f"{trials} trials were spent, {trials / whole:.0%} of the full grid"
    try:
        draws = sample(table[:-1], table[-1], chains=CHAINS, sweeps=SWEEPS)
    except ValueError:  # nothing is known of noise yet
        means = np.nanmean(np.where(np.isnan(table), np.nanmax(table), table), axis=1)
        order = sorted(open_to, key=lambda i: (seeds[keys[i]], means[i], keys[i]))
        return [keys[i] for i in order[: min(left, math.ceil(len(order) / 2))]], ""
    if ended := resolved(draws):
        return [keys[i] for i in behind[:left]], ended
    value = values(draws)
    order = sorted(open_to, key=lambda i: (-value[i], keys[i]))
    return [keys[i] for i in picked(order, behind, left, len(keys))], ""


def picked(order: list[int], behind: list[int], left: int, count: int) -> list[int]:
    """The first of `order` that a round takes; enough is `left` for those behind a second seed."""
    found: list[int] = []
    owed = len(behind)
    for i in order[: max(MIN_ROUND, count // ROUND)]:
        owed -= i in behind
        if len(found) + 1 + owed <= left:
            found.append(i)
        else:
            owed += i in behind
    return found or behind[:left] or order[:left]


def given(curves: Curves, terms: Terms, keys: list[str], seeds: Mapping[str, int]) -> Floats:
    """Final losses (keys, seeds) of the trials that were given, NaN elsewhere."""
    known = losses_after(curves, terms.epochs)
    known = {(key, seed): loss for (key, seed), loss in known.items() if seed < seeds.get(key, 0)}
    return loss_matrix(known, keys, range(terms.seeds))


def allowance(terms: Terms) -> int:
    """How many trials of candidates a search may take."""
    count = len(terms.candidates)
    return max(int(SHARE * count * terms.seeds), min(ON_AVERAGE, terms.seeds) * count)


def resolved(draws: Draws) -> str:
    """Why more trials are not worth their price; '' where they are."""
    regret = float(regrets(draws.effects).min())
    gain = float((draws.baseline - draws.effects.mean(axis=1)).mean())
    if not regret < RESOLVED * gain:
        return ""
    return f"the expected regret is {regret / gain:.1%} of the gain over 1x, below {RESOLVED:.1%}"


def values(draws: Draws) -> Floats:
    """By how much AHEAD more trials of each candidate are expected to lower the regret, (k,)."""
    means, spread = draws.effects.mean(axis=0), draws.effects.var(axis=0)
    noise = np.square(draws.noise).mean(axis=0)
    # standard deviation of how far the trials will move the candidate's mean
    moves = spread / np.sqrt(spread + noise / AHEAD)
    first, second = np.partition(means, 1)[:2]
    apart = np.abs(means - np.where(means == first, second, first)) / np.maximum(moves, 1e-300)
    density = np.exp(-np.square(apart) / 2) / np.sqrt(2 * np.pi)
    value: Floats = moves * (density - apart * ndtr(-apart))
    return value
