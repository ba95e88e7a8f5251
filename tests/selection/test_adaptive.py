"""The default policy: a pure function of the losses, run here against curves that are made up."""

import numpy as np
import pytest

from scalesearch.selection.adaptive import FEWEST, SHARE, adaptive, allowance, values, walk
from scalesearch.selection.losses import Curves
from scalesearch.selection.sampler import Draws
from scalesearch.selection.terms import Ask, Decision, Terms
from scalesearch.testing import check_policy

KEYS = tuple(f"n{i}" for i in range(8))
TERMS = Terms(KEYS, "1x", seeds=8, epochs=4)


def curve(ask: Ask, gap: float) -> list[float]:
    """Losses that fall; n0's are the lowest, each next one's higher by `gap`."""
    rng = np.random.default_rng([ask.seed, *ask.key.encode()])
    level = 0.3 + gap * (8 if ask.key == "1x" else int(ask.key[1:]))
    return [level + 0.5 * 2.0**-epoch + rng.normal(0, 0.01) for epoch in range(1, 5)]


def played(terms: Terms, gap: float = 0.004) -> tuple[Decision, Curves]:
    """Run the policy to its end."""
    curves: dict[tuple[str, int], list[float]] = {}
    while (decision := adaptive(curves, terms)).asks:
        curves |= {(ask.key, ask.seed): curve(ask, gap) for ask in decision.asks}
    return decision, curves


def counts(curves: Curves) -> dict[str, int]:
    """How many trials each network has."""
    return {key: sum(k == key for k, _ in curves) for key in (*KEYS, "1x")}


def test_it_keeps_the_contract_of_policies() -> None:
    check_policy(adaptive)


def test_trials_are_whole_and_within_half_of_the_grid() -> None:
    decision, curves = played(TERMS)
    assert {len(losses) for losses in curves.values()} == {TERMS.epochs}
    found = counts(curves)
    assert min(found.values()) >= FEWEST and max(found.values()) <= TERMS.seeds
    assert sum(found[key] for key in KEYS) <= SHARE * len(KEYS) * TERMS.seeds
    assert found["1x"] == max(found[key] for key in KEYS), "1x is paired with every seed"
    assert decision.ended and not decision.stops


def test_more_trials_go_to_those_that_may_be_best() -> None:
    found = counts(played(TERMS)[1])
    assert found["n0"] > found["n7"] and found["n1"] > found["n6"]
    assert found["n7"] == FEWEST


def test_it_ends_early_where_one_stands_apart() -> None:
    decision, curves = played(TERMS, gap=0.5)
    assert "expected regret" in decision.ended
    assert sum(counts(curves)[key] for key in KEYS) == FEWEST * len(KEYS)


def test_the_end_is_the_same_in_whatever_order_a_rounds_trials_end() -> None:
    whole = played(TERMS)
    curves: dict[tuple[str, int], list[float]] = {}
    rng = np.random.default_rng(1)
    while (decision := adaptive(curves, TERMS)).asks:
        for i in rng.permutation(len(decision.asks))[: rng.integers(1, 4)]:
            ask = decision.asks[i]
            curves[ask.key, ask.seed] = curve(ask, 0.004)
    assert (decision, curves) == whole
    swapped = {who: curves[who] for who in reversed(list(curves))}
    assert adaptive(swapped, TERMS) == decision


def test_losses_of_trials_that_it_did_not_ask_for_do_not_lead_it_astray() -> None:
    decision, curves = played(TERMS)
    every = {
        (key, seed): curve(Ask(key, seed, 4), 0.004) for key in (*KEYS, "1x") for seed in range(8)
    }
    assert adaptive(every, TERMS) == decision
    found = walk(every, TERMS, allowance(TERMS))
    assert {key: n for key, n in found.seeds.items()} == counts(curves)


def test_more_seeds_continue_a_search_that_ended() -> None:
    _, before = played(TERMS, gap=0.002)
    more = Terms(KEYS, "1x", seeds=12, epochs=4)
    decision = adaptive(before, more)
    assert decision.asks and not set((a.key, a.seed) for a in decision.asks) & set(before)


@pytest.mark.parametrize(("seeds", "most"), [(2, 2.0), (3, 3.0), (4, 3.0), (8, 4.0), (20, 10.0)])
def test_the_allowance_is_half_the_grid_but_three_seeds_where_there_are(
    seeds: int, most: float
) -> None:
    assert allowance(Terms(KEYS, "1x", seeds, 4)) == most * len(KEYS)


def test_a_trial_that_failed_is_given_up_and_the_next_seed_asked_for() -> None:
    failed = frozenset({("n0", 0), ("n0", 1)})
    terms = Terms(KEYS, "1x", 8, 4, failed)
    curves: dict[tuple[str, int], list[float]] = {}
    while (decision := adaptive(curves, terms)).asks:
        curves |= {(ask.key, ask.seed): curve(ask, 0.004) for ask in decision.asks}
    assert ("n0", 2) in curves and not failed & set(curves)
    every = frozenset((key, seed) for key in KEYS for seed in range(8))
    assert adaptive({}, Terms(KEYS, "1x", 8, 4, every)).asks[0].key == "1x"


def test_a_search_whose_every_first_trial_failed_tries_the_second_ones() -> None:
    first = frozenset((key, 0) for key in KEYS)
    both = first | {(key, 1) for key in KEYS}
    curves = {("1x", seed): curve(Ask("1x", seed, 4), 0) for seed in range(2)}
    assert {(a.key, a.seed) for a in adaptive(curves, Terms(KEYS, "1x", 8, 4, first)).asks} == {
        (key, 1) for key in KEYS
    }
    decision = adaptive(curves, Terms(KEYS, "1x", 8, 4, both))
    assert (decision.asks, decision.sure) == ((), ()) and decision.ended == "every candidate failed"


def test_the_value_of_a_trial_by_hand() -> None:
    # two that tie, variance 1 and noise 0 of 3 trials: the mean moves by 1, worth 1 / sqrt(2 pi)
    rng = np.random.default_rng(0)
    effects = rng.normal([0, 0, 8], 1, (100_000, 3))
    draws = Draws(effects, effects, effects[:, 0], np.full(effects.shape, 1e-9))
    assert values(draws)[:2] == pytest.approx(1 / np.sqrt(2 * np.pi), rel=0.03)
    assert values(draws)[2] == pytest.approx(0, abs=1e-9)
