"""Policies: pure functions of the losses so far, run here against curves that are made up."""

import numpy as np
import pytest

from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import POLICIES, SHARE, Decision, Terms, rungs
from scalesearch.testing import check_policy

KEYS = tuple(f"n{i}" for i in range(8))
TERMS = Terms(KEYS, "1x", seeds=6, epochs=4)


def curve(key: str, seed: int, gap: float = 0.02, noise: float = 0.005) -> list[float]:
    """Losses that fall; n0 is best, each next one worse by `gap`."""
    rng = np.random.default_rng([seed, *key.encode()])
    level = 0.3 + gap * (8 if key == "1x" else int(key[1:]))
    return [level + 0.5 * 2.0**-epoch + rng.normal(0, noise) for epoch in range(1, 5)]


def played(terms: Terms, policy: str = "rungs", gap: float = 0.02) -> tuple[Decision, Curves]:
    """Run a policy to its end, every asked trial trained as far as asked."""
    curves: dict[tuple[str, int], list[float]] = {}
    while (decision := POLICIES[policy](curves, terms)).asks:
        for ask in decision.asks:
            assert len(curves.get((ask.key, ask.seed), [])) < ask.epochs, "nothing is asked twice"
            curves[ask.key, ask.seed] = curve(ask.key, ask.seed, gap)[: ask.epochs]
    return decision, curves


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_keeps_the_contract(policy: str) -> None:
    check_policy(POLICIES[policy])


def test_the_grid_trains_everything() -> None:
    decision, curves = played(TERMS, "grid")
    assert {(key, seed) for key in (*KEYS, "1x") for seed in range(6)} == set(curves)
    assert all(len(losses) == 4 for losses in curves.values())
    assert decision.ended and not decision.stops


def test_rungs_stop_the_worst_early_and_find_the_best() -> None:
    decision, curves = played(TERMS)
    assert decision.ended == "one candidate is left"
    assert set(decision.stops) == set(KEYS[1:])
    assert decision.stops["n7"].epoch == 2 and "rung 1 (2 seeds, 2 epochs)" in str(
        decision.stops["n7"]
    )
    spent = sum(len(losses) for (key, _), losses in curves.items() if key != "1x")
    assert spent <= SHARE * 8 * 6 * 4
    assert {len(curves["1x", seed]) for seed in (0, 1)} == {4}, "the baseline goes to the end"


def test_values_of_different_fidelity_are_never_compared() -> None:
    # after one epoch n7 looks best by far; only what is compared at the same epoch may decide
    _, curves = played(TERMS)
    lengths = {len(losses) for losses in curves.values()}
    assert lengths == {2, 4}
    again = rungs({who: losses[:2] for who, losses in curves.items()}, TERMS)
    assert set(again.stops) == set(KEYS[3:]) and {ask.epochs for ask in again.asks} == {4}


def test_ties_get_more_seeds_until_the_share_is_spent() -> None:
    decision, curves = played(Terms(KEYS, "1x", seeds=20, epochs=4), gap=0.0)
    seeds = {seed for _, seed in curves}
    assert 3 <= len(seeds) < 20
    assert "regret" in decision.ended or "30% of the full grid" in decision.ended
    spent = sum(len(losses) for (key, _), losses in curves.items() if key != "1x")
    assert spent <= SHARE * 8 * 20 * 4


def test_failed_trials_are_not_asked_for_again() -> None:
    failed = frozenset({("n0", seed) for seed in range(6)} | {("n1", 0)})
    decision, curves = played(Terms(KEYS, "1x", 6, 4, failed))
    assert decision.stops["n0"].reason.endswith("its trials failed")
    assert ("n1", 0) not in curves and len(curves["n1", 1]) == 4
    every = frozenset((key, seed) for key in KEYS for seed in range(6))
    assert played(Terms(KEYS, "1x", 6, 4, every))[0].ended == "every candidate failed"


@pytest.mark.parametrize("candidates", [1, 2, 3])
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_small_searches_end(candidates: int, epochs: int) -> None:
    decision, curves = played(Terms(KEYS[:candidates], "1x", 2, epochs))
    assert decision.ended
    ends = [key for (key, _), losses in curves.items() if len(losses) == epochs and key != "1x"]
    assert len(set(ends)) == candidates
