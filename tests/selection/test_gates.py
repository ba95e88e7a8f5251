"""Gates: each passes, fails, or says that it was not shown; none passes for want of data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scalesearch.plans.document import Plan, read_plan
from scalesearch.selection.choice import choose, ties
from scalesearch.selection.gates import (
    Gate,
    Remedy,
    extremes,
    fair,
    not_at_the_edge,
    resolved,
    trained_enough,
)
from scalesearch.selection.ranking import Ranking, rank
from scalesearch.selection.sentences import headline
from scalesearch.spaces.files import load_space
from scalesearch.spaces.space import Space

FOLDER = Path(__file__).parents[2] / "results/reference/efficientnet-first-version-2x"
REMEDY = Remedy(10.0, lambda trials: trials + 1)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(FOLDER)


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(str(FOLDER / "space.yaml"))


def ranked(
    plan: Plan, truth: dict[str, float], seeds: int, noise: float = 0.01, seed: int = 0
) -> Ranking:
    """The ranking of candidates of those losses; 0.45 of those left out and 0.5 of the baseline."""
    rng = np.random.default_rng(seed)

    def trials(loss: float) -> dict[int, NDArray[np.float32]]:
        return {s: np.array([loss + rng.normal(0, noise)], np.float32) for s in range(seeds)}

    keys = [c.key for c in plan.candidates]
    losses = {key: trials(truth.get(key, 0.45)) for key in keys}
    return rank(losses, trials(truth.get("1x", 0.5)), keys)


def sweep(
    level: float, best: float, octave: float, noise: float, seeds: int = 3
) -> dict[float, dict[int, float]]:
    """Losses at three rates, which grow with the square of the octaves from the best."""
    rng = np.random.default_rng([round(1e4 * level), seeds])
    return {
        rate: {
            s: level + octave * (np.log2(rate) - best) ** 2 + rng.normal(0, noise)
            for s in range(seeds)
        }
        for rate in (0.5, 1.0, 2.0)
    }


def test_training_is_enough_where_all_candidates_gain(plan: Plan) -> None:
    assert trained_enough(ranked(plan, {}, 3), "2x").outcome == "passed"
    assert trained_enough(ranked(plan, {"1x": 0.42}, 3), "2x").outcome == "failed"
    unsure = trained_enough(ranked(plan, {"1x": 0.452}, 2, seed=1), "2x")
    assert unsure.outcome == "not shown" and "all 9 2x candidates" in unsure.text


def test_resolved_is_a_share_of_the_gain(plan: Plan) -> None:
    best = plan.candidates[4].key
    clear = ranked(plan, {best: 0.40}, 4)
    assert resolved(clear, best, REMEDY).outcome == "passed"
    truth = {c.key: 0.44 + 0.004 * i for i, c in enumerate(plan.candidates)}
    near = ranked(plan, {**truth, "1x": 0.48}, 2, seed=3)
    gate = resolved(near, near.leader, REMEDY)
    assert gate.outcome == "failed"
    assert "10% of the gain over 1x" in gate.text and "more trials" in gate.text
    assert gate.seeds is not None and f"up to {gate.seeds} seeds" in gate.text
    none = ranked(plan, {"1x": 0.45}, 2)
    assert resolved(none, none.leader, REMEDY).outcome == "not shown"


def test_a_candidate_that_was_stopped_counts_against_being_resolved(plan: Plan) -> None:
    best, other = plan.candidates[4].key, plan.candidates[5].key
    rng = np.random.default_rng(0)

    def trials(loss: float, seeds: int) -> dict[int, NDArray[np.float32]]:
        return {s: np.array([loss + rng.normal(0, 0.005)], np.float32) for s in range(seeds)}

    keys = [best, other, *(c.key for c in plan.candidates[:2])]
    losses = {key: trials(0.45 + 0.01 * i, 4) for i, key in enumerate(keys)}
    whole = rank(losses, trials(0.5, 4), keys)
    del losses[other]
    without = rank(losses, trials(0.5, 4), keys)
    regrets = [r.standings[0].regret for r in (whole, without)]
    assert regrets[1] > 2 * regrets[0] and other in without.confidence_set


def test_fair_has_three_outcomes(plan: Plan) -> None:
    ranking = ranked(plan, {}, 4, noise=0.002)
    axis, first, last = extremes(plan.candidates)
    assert axis == "depth" and sum(first.depths) < sum(last.depths)

    def outcome(a: dict[float, dict[int, float]], b: dict[float, dict[int, float]]) -> Gate:
        return fair(plan, ranking, {first.key: a, last.key: b}, 10.0)

    swapped = outcome(sweep(0.40, 0, 0.05, 1e-4), sweep(0.37, 1, 0.05, 1e-4))
    assert swapped.outcome == "failed" and "95% interval" in swapped.text
    same = outcome(sweep(0.40, 0, 0.05, 1e-4), sweep(0.42, 0, 0.05, 1e-4))
    assert same.outcome == "passed" and "the shallowest" in same.text
    weak = outcome(sweep(0.40, 0, 5e-4, 1e-4), sweep(0.42, 0, 5e-4, 1e-4))
    assert weak.outcome == "not shown" and "more trials" in weak.text
    assert fair(plan, ranking, {}, 10.0).outcome == "not shown"
    one_seed = outcome(sweep(0.4, 0, 0.05, 1e-4, 1), sweep(0.42, 0, 0.05, 1e-4, 1))
    assert one_seed.outcome == "not shown"


def test_of_equal_depths_another_axis_is_named(plan: Plan) -> None:
    flat = [replace(c, depths=(1, 1)) for c in plan.candidates]
    axis, first, last = extremes(flat)
    assert axis == "width" and sum(first.widths) < sum(last.widths)
    ranking = ranked(plan, {}, 4, noise=0.002)
    swept = {c.key: sweep(0.4, 0, 0.05, 1e-4) for c in (first, last)}
    text = fair(replace(plan, candidates=tuple(flat)), ranking, swept, 10.0).text
    assert "all candidates have the same depth" in text and "the narrowest" in text
    assert "shallowest" not in text


def test_the_edge_is_where_the_best_may_lie(plan: Plan, space: Space) -> None:
    inside = next(c for c in plan.candidates if c.alpha < 1.6 and c.beta < 1.5 and c.gamma < 1.4)
    outside = next(c for c in plan.candidates if c.gamma == 1.4)
    found = ranked(plan, {inside.key: 0.3}, 4)
    gate = not_at_the_edge(space, plan, found, inside)
    assert gate.outcome == "passed"
    assert inside.gamma != 1 or "gamma at 1" in gate.text
    gate = not_at_the_edge(space, plan, ranked(plan, {outside.key: 0.3}, 4), outside)
    assert gate.outcome == "failed" and "gamma 1.4 with 100%" in gate.text
    gate = not_at_the_edge(space, plan, ranked(plan, {}, 2), outside)
    assert gate.outcome == "not shown" and "inside" not in gate.text


def test_nothing_is_claimed_of_few_images_and_two_seeds_without_a_difference(
    plan: Plan, space: Space
) -> None:
    """As a new user would: gain 0, two seeds, noise of a tenth of the loss."""
    claimed, recommended = [], 0
    for seed in range(40):
        found = ranked(plan, {"1x": 0.45}, 2, noise=0.045, seed=seed)
        chosen = choose(plan, found)
        gates = (
            trained_enough(found, "2x"),
            fair(plan, found, {}, 10.0),
            resolved(found, chosen.key, REMEDY),
            not_at_the_edge(space, plan, found, chosen),
        )
        claimed.append(sum(gate.passed for gate in gates))
        recommended += "No recommendation" not in headline(plan, found, chosen, gates)
        assert max(s.p_best for s in found.standings) < 0.95
    assert max(claimed) < 4 and recommended <= 4, "one in ten by chance"


def test_ties_cost_little_of_the_gain(plan: Plan) -> None:
    best, next_best = plan.candidates[0].key, plan.candidates[1].key
    near = ranked(plan, {best: 0.400, next_best: 0.4001}, 6, noise=0.002)
    assert set(ties(near)) == {best, next_best}
    assert ties(ranked(plan, {best: 0.40, next_best: 0.42}, 6, noise=0.002)) == (best,)
    none = ranked(plan, {"1x": 0.45}, 3)
    assert ties(none) == (none.leader,), "without a gain nothing says what costs little"
