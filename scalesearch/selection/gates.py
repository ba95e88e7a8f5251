"""Gates: what must hold before an answer is a claim. Each says what it found, in numbers.

A gate has passed where it was shown to hold, failed where it was shown not to. Where the trials
tell neither it is not shown, and says what showing it would take.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scalesearch.plans.document import Candidate, Plan
from scalesearch.plans.grid import grid_for
from scalesearch.selection.outlook import at_border, trials_wanted
from scalesearch.selection.posterior import CONFIDENCE, p_best
from scalesearch.selection.ranking import Ranking
from scalesearch.selection.sweep import RATES, Losses, Swap, swap_of
from scalesearch.spaces.space import Space, grid_points
from scalesearch.units import NAMES, duration

Sweep = Mapping[str, Losses]  # by network
Outcome = Literal["passed", "failed", "not shown"]
REGRET = 0.1  # of the gain over 1x: the most that an answer's expected regret may be
BORDER = (0.05, 0.95)  # P(best) on a border: below the one inside the grid, above the other not
ENOUGH_POWER = 0.5
FIRST_SWEEP = 3  # seeds
AXES = ("alpha", "beta", "gamma")
ENDS = {
    "depth": ("the shallowest", "the deepest"),
    "width": ("the narrowest", "the widest"),
    "resolution": ("that of the smallest images", "that of the largest"),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that must hold: whether it does, and the numbers that say so.

    `seeds` is how many at most would mend it, where more trials can.
    """

    name: str
    outcome: Outcome
    text: str
    seeds: int | None = None

    @property
    def passed(self) -> bool:
        """Whether it was shown to hold."""
        return self.outcome == "passed"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a trial takes, and how many seeds at most make the policy train so many more of them."""

    seconds: float
    seeds_for: Callable[[int], int]


def trained_enough(ranking: Ranking, budget: str) -> Gate:
    """Whether the candidates beat the 1x baseline beyond noise: if not, training was too short."""
    low, high = ranking.gain_interval
    text = (
        f"all {len(ranking.keys)} {budget} candidates gain {ranking.gain:+.4f} over the 1x "
        f"baseline ({CONFIDENCE:.0%} interval {low:+.4f} to {high:+.4f})"
    )
    if low > 0 or high < 0:
        return Gate("trained enough", "passed" if low > 0 else "failed", text)
    times = np.inf if ranking.gain <= 0 else ((high - low) / 2 / ranking.gain) ** 2
    if times > 10:
        return Gate("trained enough", "not shown", f"{text}; longer training shows more")
    return Gate(
        "trained enough",
        "not shown",
        f"{text}; if it is so, about {times:.1f} times the seeds show it",
    )


def fair(plan: Plan, ranking: Ranking, sweep: Sweep, seconds: float) -> Gate:
    """Whether cost and learning rate were the same chance for all.

    Data, epochs and recipe are the same by construction. The rate is swept on the two candidates
    that differ most: it confounds where each at its own best rate would swap the two. A trial takes
    `seconds`.
    """
    text, kept = costs_of(plan)
    if not kept:
        return Gate("fair", "failed", text)
    if len(plan.candidates) < 2:
        return Gate("fair", "passed", f"{text}; there is one candidate")
    axis, first, last = extremes(plan.candidates)
    noise = ranking.draws.noise[:, [ranking.keys.index(c.key) for c in (first, last)]]
    swap = swap_of(sweep.get(first.key, {}), sweep.get(last.key, {}), noise)
    if swap is None:
        return Gate("fair", "not shown", f"{text}; {price_of_sweep(seconds)}")
    text = f"{text}; {swap_text(axis, swap)}"
    if swap.shown:
        return Gate("fair", "failed", text)
    if swap.power >= ENOUGH_POWER:
        return Gate("fair", "passed", text)
    return Gate("fair", "not shown", f"{text}; {price_of_power(swap, seconds)}")


def fair_costs(plan: Plan) -> Gate:
    """Whether cost was the same chance for all, where a user's function trains: no more is known.

    What it makes of a learning rate is its own, so that there is none to sweep.
    """
    text, kept = costs_of(plan)
    rate = "training is the user's own, and whether its learning rate suits all was not swept"
    return Gate("fair", "not shown" if kept else "failed", f"{text}; {rate}")


def swap_text(axis: str, swap: Swap) -> str:
    """What the sweep found, in words."""
    one, other = ENDS[axis]
    same = "" if axis == "depth" else "all candidates have the same depth; "
    low, high = (swap.own - swap.shared + sign * swap.margin for sign in (-1, 1))
    return (
        f"{same}the loss of {one} candidate less that of {other} is {swap.shared:+.4f} at the "
        f"recipe's learning rate, {swap.own:+.4f} at the best of 0.5x, 1x, 2x for each "
        f"({swap.rates[0]:g}x and {swap.rates[1]:g}x, {swap.seeds} seeds): a change of "
        f"{swap.own - swap.shared:+.4f} ({CONFIDENCE:.0%} interval {low:+.4f} to {high:+.4f}); a "
        f"rate one octave off costs about {swap.octave:.4f}, and is seen in {swap.power:.0%} of "
        "such sweeps"
    )


def price_of_sweep(seconds: float) -> str:
    """What a first sweep costs."""
    trials = 2 * (len(RATES) - 1) * FIRST_SWEEP
    return (
        "the learning rate was not swept with two seeds or more: sweep_seeds of "
        f"{FIRST_SWEEP} does in {trials} trials, {duration(trials * seconds)}"
    )


def price_of_power(swap: Swap, seconds: float) -> str:
    """What a sweep costs that sees a rate one octave off in half of all cases."""
    if swap.wanted is None:
        return "more than 100 seeds would be needed to see it in half of them"
    trials = 6 * (swap.wanted - swap.seeds)
    return (
        f"{swap.wanted} sweep_seeds see it in half of them: {trials} more trials, "
        f"{duration(trials * seconds)}"
    )


def costs_of(plan: Plan) -> tuple[str, bool]:
    """How far the candidates are from the budget's target and caps, and whether they keep them.

    Of a latency the worse end of its interval counts. Where the target is not flops, what they
    differ by in flops is said too: a budget of another measure lets one train with more of them.
    """
    ends = [end for c in plan.candidates for end in c.interval(plan.measure)]
    furthest = max(abs(end / plan.ratio - 1) for end in ends)
    parts = [
        f"{NAMES[plan.measure]} within {furthest:.1%} of the budget "
        f"(tolerance {plan.tolerance:.0%})"
    ]
    passed = furthest <= plan.tolerance
    for cap in plan.caps:
        most = max(c.interval(cap.measure)[1] for c in plan.candidates)
        parts.append(f"{NAMES[cap.measure]} at most {most:.4g}x (cap {cap.ratio:.4g}x)")
        passed = passed and most <= cap.ratio * (1 + 1e-12)
    if plan.measure != "flops":
        low, *_, high = sorted([c.flops_ratio for c in plan.candidates] * 2)
        parts.append(f"flops from {low:.3g}x to {high:.3g}x")
    return "; ".join(parts), passed


def extremes(candidates: Sequence[Candidate]) -> tuple[str, Candidate, Candidate]:
    """The two of at least two candidates that differ most, and the axis in which they do.

    The shallowest and the deepest of all that were planned; where all have the same depth those
    that differ most in width, or else in resolution.
    """
    sizes: dict[str, Callable[[Candidate], float]] = {
        "depth": lambda c: sum(c.depths),
        "width": lambda c: sum(c.widths),
        "resolution": lambda c: c.resolution,
    }
    for axis, size in sizes.items():
        ordered = sorted(candidates, key=lambda c: (size(c), c.alpha, c.beta, c.gamma))
        if size(ordered[0]) < size(ordered[-1]):
            return axis, ordered[0], ordered[-1]
    return axis, ordered[0], ordered[-1]


def resolved(ranking: Ranking, chosen: str, remedy: Remedy) -> Gate:
    """Whether choosing that candidate costs little of what the search gained."""
    regret = next(s.regret for s in ranking.standings if s.key == chosen)
    tied = len(ranking.confidence_set)
    text = (
        f"{tied} of {len(ranking.keys)} in the {CONFIDENCE:.0%} set; the choice's expected regret "
        f"is {regret:.4f}"
    )
    if not ranking.beats_baseline:
        return Gate("resolved", "not shown", f"{text}, and no gain was shown to measure it by")
    bound = REGRET * ranking.gain
    text = f"{text} (bound {bound:.4f}, {REGRET:.0%} of the gain over 1x)"
    if regret <= bound:
        return Gate("resolved", "passed", text)
    more = trials_wanted(ranking.draws, bound)
    if not more:
        return Gate("resolved", "failed", f"{text}; no sensible number of trials would mend it")
    seeds = remedy.seeds_for(more)
    price = f"about {more} more trials, {duration(more * remedy.seconds)}, up to {seeds} seeds"
    return Gate("resolved", "failed", f"{text}; {price} would mend it", seeds)


def not_at_the_edge(space: Space, plan: Plan, ranking: Ranking, chosen: Candidate) -> Gate:
    """How probable it is that the best candidate lies on a border of the grid that can be moved.

    Only beyond such a border could a better one lie: a coefficient of 1 cannot be passed.
    """
    points = grid_points(grid_for(space, space.proxies[plan.proxy], plan.asked, plan.ratio))
    low, high = BORDER
    shares = {border: p for border, p in borders(points, plan, ranking).items() if border[1] != 1}
    far = sorted((-p, border) for border, p in shares.items() if p >= low)
    outcome: Outcome = "passed" if not far else "failed" if -far[0][0] > high else "not shown"
    said = ", ".join(f"{axis} {value:g} with {-p:.0%}" for p, (axis, value) in far)
    widen = ", ".join(dict.fromkeys(axis for _, (axis, _) in far))
    text = (
        f"the best lies on the grid's border at {said}: widen {widen} to look beyond"
        if far
        else f"the best lies on any border of the grid that can be moved with less than {low:.0%}"
    )
    unscaled = [axis for axis in AXES if getattr(chosen, axis) == 1]
    if unscaled:
        text += f"; the choice leaves {' and '.join(unscaled)} at 1, which cannot be passed"
    return Gate("not at the edge", outcome, text)


def borders(
    points: Sequence[tuple[float | None, ...]], plan: Plan, ranking: Ranking
) -> dict[tuple[str, float], float]:
    """P(best) of the candidates on each border of the grid, by axis and coefficient."""
    by_key = {c.key: c for c in plan.candidates}
    shares = p_best(ranking.draws.effects)
    found = {}
    for i, axis in enumerate(AXES):
        allowed = [value for point in points if (value := point[i]) is not None]
        values = [getattr(by_key[key].grid_point, axis) for key in ranking.keys]
        for border, share in at_border(shares, values, allowed).items():
            found[axis, border] = share
    return found


def named(gates: Sequence[Gate], outcome: Outcome) -> str:
    """The names of the gates of that outcome, with commas between."""
    return ", ".join(gate.name for gate in gates if gate.outcome == outcome)
