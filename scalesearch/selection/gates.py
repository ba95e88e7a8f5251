"""Gates: what must hold before an answer is a claim. Each says what it found, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from scalesearch.plans.document import Candidate, Plan
from scalesearch.plans.grid import grid_for
from scalesearch.selection.effects import CONFIDENCE, REGRET
from scalesearch.selection.ranking import Ranking
from scalesearch.spaces.space import Space, grid_points
from scalesearch.trials.key import RATES
from scalesearch.units import NAMES

Sweep = Mapping[str, Mapping[float, float]]  # loss of one seed, by network and rate


Outcome = Literal["passed", "failed", "not shown"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that must hold: whether it does, and the numbers that say so."""

    name: str
    outcome: Outcome
    text: str

    @property
    def passed(self) -> bool:
        """Whether it was shown to hold."""
        return self.outcome == "passed"


def gate(name: str, holds: bool, text: str) -> Gate:
    """A gate that was looked at."""
    return Gate(name, "passed" if holds else "failed", text)


def trained_enough(ranking: Ranking, budget: str) -> Gate:
    """Whether the candidates beat the 1x baseline beyond noise: if not, training was too short."""
    low, high = ranking.gain_interval
    return gate(
        "trained enough",
        ranking.beats_baseline,
        f"{budget} candidates gain {ranking.gain:+.4f} over the 1x baseline "
        f"({CONFIDENCE:.0%} interval {low:+.4f} to {high:+.4f})",
    )


def fair(plan: Plan, ranking: Ranking, sweep: Sweep) -> Gate:
    """Whether cost and learning rate were the same chance for all.

    Data, epochs and recipe are the same by construction. The rate is swept on two candidates that
    differ most in depth: it confounds where each at its own best rate would swap the two.
    """
    text, passed = costs_of(plan)
    whole = {key: by_rate for key, by_rate in sweep.items() if set(by_rate) == set(RATES.values())}
    if len(plan.candidates) < 2:
        return gate("fair", passed, f"{text}; there is one candidate")
    if len(whole) < 2:
        return gate("fair", False, f"{text}; the learning rate was not swept")
    (_, a), (_, b) = list(whole.items())[:2]
    shared, own = a[1.0] - b[1.0], min(a.values()) - min(b.values())
    noise = 2 * 2**0.5 * ranking.noise
    swaps = shared * own < 0 and abs(own - shared) > noise
    at = " and ".join(f"{min((loss, rate) for rate, loss in r.items())[1]:g}x" for r in (a, b))
    text = (
        f"{text}; of two candidates that differ most in depth the loss differs by {shared:+.4f} at "
        f"the recipe's learning rate, {own:+.4f} at the best of "
        f"{', '.join(f'{rate:g}x' for rate in RATES.values())} for each ({at}); noise {noise:.4f}"
    )
    return gate("fair", passed and not swaps, text)


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


def extremes(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The shallowest and the deepest candidate, on which the learning rate is swept."""
    if len(candidates) < 2:
        return ()
    ordered = sorted(candidates, key=lambda c: (sum(c.depths), c.coefficients))
    return ordered[0], ordered[-1]


def resolved(ranking: Ranking) -> Gate:
    """Whether one candidate is left, or choosing the leader costs next to nothing."""
    leader, tied = ranking.standings[0], len(ranking.confidence_set)
    bound = REGRET * leader.loss
    return gate(
        "resolved",
        tied == 1 or leader.regret <= bound,
        f"{tied} of {len(ranking.standings)} in the {CONFIDENCE:.0%} set; the leader's expected "
        f"regret is {leader.regret:.4f} (bound {bound:.4f}, {REGRET:.2%} of its loss); "
        f"{ranking.seeds} seeds, noise {ranking.noise:.4f} a trial",
    )


def not_at_the_edge(space: Space, plan: Plan, chosen: Candidate) -> Gate:
    """Whether the chosen coefficients lie inside the grid."""
    points = grid_points(grid_for(space, space.proxies[plan.proxy], plan.asked, plan.ratio))
    found = []
    for i, (axis, value) in enumerate(asdict(chosen.coefficients).items()):
        far = max((abs(v - 1) for point in points if (v := point[i]) is not None), default=0.0)
        if far and abs(value - 1) == far:
            found.append(f"{axis} {value:g} lies on the grid's border: widen {axis}")
    return gate("not at the edge", not found, "; ".join(found) or "inside the grid on every axis")


def failed_names(gates: Sequence[Gate]) -> str:
    """The names of the gates that failed, with commas between."""
    return ", ".join(gate.name for gate in gates if not gate.passed)
