"""The gate *faithful*: the look inside, and the leader at two lengths of training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scalesearch.plans.document import Candidate, Plan, read_plan
from scalesearch.plans.look import Look
from scalesearch.plans.stands import Stand
from scalesearch.selection.faithful import Halfway, faithful, halfway_of
from scalesearch.selection.ranking import Ranking, rank
from scalesearch.spaces.space import Recipe

OLD = read_plan(Path(__file__).parents[2] / "results/reference/mobilenet_v2-fashion-mnist-2x")
READABLE = Recipe(epochs=4, schedule="constant", average=0.98)


def seen(candidate: Candidate, side: int = 5) -> Candidate:
    """A network with a look inside it, and what it stands for."""
    narrow = 16 if side < 4 else 0
    inside = Look(
        sides=(side,),
        receptive_field=9,
        blocks=16,
        narrow_blocks=narrow,
        tiny_blocks=0,
        narrow_flops=0.0,
    )
    stand = Stand(
        key=candidate.key,
        coefficients=candidate.coefficients,
        proxy_gamma=candidate.gamma * 1.02,
        resolution=256,
        flops=1,
        ratio=2.0,
    )
    return replace(candidate, inside=inside, stand=stand)


def plan_of(side: int = 5, images: int = 28) -> Plan:
    return replace(
        OLD,
        images=images,
        baseline=seen(OLD.baseline, side),
        candidates=tuple(seen(candidate, side) for candidate in OLD.candidates),
    )


def ranked(plan: Plan) -> Ranking:
    """Two lead and tie, the others are far behind."""
    rng = np.random.default_rng(3)

    def trials(loss: float) -> dict[int, NDArray[np.float32]]:
        return {s: np.array([loss + rng.normal(0, 0.002)], np.float32) for s in range(3)}

    keys = [candidate.key for candidate in plan.candidates]
    losses = {key: trials(0.40 if i < 2 else 0.45) for i, key in enumerate(keys)}
    return rank(losses, trials(0.5), keys)


def test_the_leader_of_both_lengths_must_be_the_same_or_tied() -> None:
    plan, ranking = plan_of(), ranked(plan_of())
    first, second, third = (candidate.key for candidate in plan.candidates[:3])
    other = second if ranking.leader == first else first
    for leader, outcome, said in (
        (ranking.leader, "passed", "leads after epoch 2 of 4 and at the end"),
        (other, "passed", "the first is among the 95% set there"),
        (third, "failed", "the first is not among the 95% set there"),
    ):
        gate = faithful(plan, READABLE, Halfway(leader, 2, 4), ranking)
        assert gate.outcome == outcome
        assert said in gate.text and plan.names[leader] in gate.text
        assert "gamma on the model is within 2.0% of the proxy's" in gate.text


def test_a_schedule_that_is_no_training_at_half_shows_nothing() -> None:
    plan, ranking = plan_of(), ranked(plan_of())
    gate = faithful(plan, Recipe(epochs=4), Halfway(ranking.leader, 2, 4), ranking)
    assert gate.outcome == "not shown" and "`schedule: constant`" in gate.text
    assert faithful(plan, READABLE, None, ranking).outcome == "not shown"


def test_of_a_users_own_training_half_is_not_known() -> None:
    plan = plan_of()
    ranking = ranked(plan)
    gate = faithful(plan, None, Halfway(ranking.leader, 2, 4), ranking)
    assert gate.outcome == "not shown"
    assert "the user's own" in gate.text and "schedule" not in gate.text


def test_a_proxy_that_cannot_tell_fails_and_one_that_was_not_looked_at_is_not_shown() -> None:
    ranking = ranked(plan_of())
    half = Halfway(ranking.leader, 2, 4)
    narrow = faithful(plan_of(side=2), READABLE, half, ranking)
    assert narrow.outcome == "failed"
    assert "networks have blocks on maps under 4 px" in narrow.text
    few = faithful(plan_of(images=8), READABLE, half, ranking)
    assert few.outcome == "failed" and "px and the images have 8" in few.text
    assert faithful(OLD, READABLE, half, ranking).outcome == "not shown"


def test_the_leader_at_half_is_found_with_the_seeds_effects_taken_off() -> None:
    # b is better than a by 0.1 in each seed; seed 1, which a lacks, is worse by 1
    curves = {("a", 0): [0.5, 0.4], ("b", 0): [0.4, 0.4], ("b", 1): [1.4, 1.2], ("c", 0): [0.9]}
    curves |= {("c", 1): [1.9, 1.0]}
    assert halfway_of(curves, ["a", "b", "c"], 2) == Halfway("b", 1, 2)
    assert halfway_of(curves, ["a", "b", "c"], 1) is None
    assert halfway_of({}, ["a"], 4) is None


@pytest.mark.parametrize("epochs", [3, 5])
def test_half_of_an_odd_number_of_epochs_is_the_smaller(epochs: int) -> None:
    curves = {(key, seed): [1.0 + (key == "b")] * epochs for key in "ab" for seed in (0, 1)}
    found = halfway_of(curves, ["a", "b"], epochs)
    assert found == Halfway("a", epochs // 2, epochs)
