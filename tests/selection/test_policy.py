"""Policies: pure functions of the losses so far, run here against curves that are made up."""

import numpy as np
import pytest

from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import POLICIES
from scalesearch.selection.terms import Decision, Terms
from scalesearch.testing import check_policy

KEYS = tuple(f"n{i}" for i in range(8))
TERMS = Terms(KEYS, "1x", seeds=6, epochs=4)


def curve(key: str, seed: int, gap: float = 0.02, noise: float = 0.005) -> list[float]:
    """Losses that fall; n0 is best, each next one worse by `gap`."""
    rng = np.random.default_rng([seed, *key.encode()])
    level = 0.3 + gap * (8 if key == "1x" else int(key[1:]))
    return [level + 0.5 * 2.0**-epoch + rng.normal(0, noise) for epoch in range(1, 5)]


def played(terms: Terms, policy: str = "adaptive", gap: float = 0.02) -> tuple[Decision, Curves]:
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


@pytest.mark.parametrize("candidates", [1, 2, 3])
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_small_searches_end(candidates: int, epochs: int) -> None:
    decision, curves = played(Terms(KEYS[:candidates], "1x", 2, epochs))
    assert decision.ended
    ends = [key for (key, _), losses in curves.items() if len(losses) == epochs and key != "1x"]
    assert len(set(ends)) == candidates
