"""The selection: paired, resampled, and honest about ties."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scalesearch.selection.effects import example_covariance, fit_effects
from scalesearch.selection.ranking import rank

Losses = dict[str, dict[int, NDArray[np.float32]]]


def made(means: dict[str, float], seeds: int = 3, noise: float = 0.01, n: int = 400) -> Losses:
    """Losses of networks with those means: hard examples and hard seeds are shared by all."""
    rng = np.random.default_rng(0)
    hard = rng.exponential(0.4, n)
    of_seed = rng.normal(0, 0.05, seeds)
    return {
        key: {
            seed: (mean + hard + of_seed[seed] + rng.normal(0, noise, n)).astype(np.float32)
            for seed in range(seeds)
        }
        for key, mean in means.items()
    }


def test_a_clear_winner_stands_alone() -> None:
    losses = made({"1x": 0.5, "a": 0.4, "b": 0.3, "c": 0.45})
    found = rank(losses, losses["1x"], ["a", "b", "c"])
    assert found.leader == "b"
    assert found.confidence_set == ("b",)
    assert [standing.key for standing in found.standings] == ["b", "a", "c"]
    assert found.standings[0].p_best == 1
    assert found.standings[1].difference == pytest.approx(0.1, abs=0.005)
    low, high = found.standings[1].interval
    assert low < 0.1 < high and high - low < 0.01, "pairing removes what is shared"
    assert found.beats_baseline
    assert found.gain == pytest.approx(0.5 - (0.4 + 0.3 + 0.45) / 3, abs=0.005)


def test_equal_candidates_tie() -> None:
    losses = made({"1x": 0.5, "a": 0.4, "b": 0.4, "c": 0.6}, noise=0.3)
    found = rank(losses, losses["1x"], ["a", "b", "c"])
    assert set(found.confidence_set) == {"a", "b"}
    shares = {standing.key: standing.p_best for standing in found.standings}
    assert 0.02 < shares["a"] < 0.98
    identical = {"1x": losses["1x"], "a": losses["a"], "b": losses["a"]}
    same = rank(identical, losses["1x"], ["a", "b"])
    assert same.standings[1].difference == pytest.approx(0, abs=1e-3)
    assert same.standings[1].in_set
    assert [standing.p_best for standing in same.standings] == pytest.approx([0.5, 0.5], abs=0.03)


def test_candidates_no_better_than_the_baseline_do_not_beat_it() -> None:
    losses = made({"1x": 0.4, "a": 0.4, "b": 0.41})
    assert not rank(losses, losses["1x"], ["a", "b"]).beats_baseline


def test_seeds_that_some_lack_are_compared_within_the_seed() -> None:
    losses = made({"1x": 0.5, "a": 0.4, "b": 0.3})
    del losses["b"][2]
    found = rank(losses, losses["1x"], ["a", "b"])
    assert [standing.seeds for standing in found.standings] == [2, 3]
    assert found.standings[1].difference == pytest.approx(0.1, abs=0.01)
    losses = {key: {seed: of[seed] for seed in [0]} for key, of in losses.items()}
    with pytest.raises(ValueError, match="needs two seeds"):
        rank(losses, losses["1x"], ["a", "b"])


def test_every_candidate_that_was_planned_is_in_the_comparison() -> None:
    losses = made({"1x": 0.5, "a": 0.4, "b": 0.3, "c": 0.35})
    found = rank(losses, losses["1x"], ["a", "b", "c", "untrained"])
    assert [standing.key for standing in found.standings] == ["b", "c", "a", "untrained"]
    last = found.standings[-1]
    assert last.seeds == 0 and last.in_set and last.p_best > 0.02
    others = np.mean([standing.loss for standing in found.standings[:-1]])
    assert last.loss == pytest.approx(others, abs=0.03), "one like the others"
    assert found.leader == "b", "nobody chooses what was never trained"
    alone = {**losses, "a": {0: losses["a"][0]}}
    assert {s.key: s.seeds for s in rank(alone, losses["1x"], ["a", "b"]).standings} == {
        "a": 1,
        "b": 3,
    }
    with pytest.raises(ValueError, match="0 candidates"):
        rank({}, losses["1x"], ["a"])


def test_the_gain_is_of_all_candidates() -> None:
    losses = made({"1x": 0.5, "a": 0.3, "b": 0.4, "c": 0.48}, noise=0.001)
    found = rank(losses, losses["1x"], ["a", "b", "c"])
    assert found.gain == pytest.approx(0.5 - (0.3 + 0.4 + 0.48) / 3, abs=1e-3)
    assert found.gains["a"].loss == pytest.approx(0.2, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    means=st.lists(st.floats(0.2, 0.6), min_size=2, max_size=5),
    shift=st.floats(-3, 3),
    order=st.randoms(use_true_random=False),
)
def test_shares_add_up_and_neither_order_nor_a_shifted_seed_matters(
    means: list[float], shift: float, order: Random
) -> None:
    losses = made({f"n{i}": mean for i, mean in enumerate(means)} | {"1x": 0.5}, noise=0.2, n=60)
    keys = [f"n{i}" for i in range(len(means))]
    found = rank(losses, losses["1x"], keys)
    assert sum(standing.p_best for standing in found.standings) == pytest.approx(1)
    shuffled = list(keys)
    order.shuffle(shuffled)
    again = rank(losses, losses["1x"], shuffled)
    assert {s.key: s.p_best for s in again.standings} == {s.key: s.p_best for s in found.standings}
    moved = {
        key: {seed: x.astype(np.float64) + (shift if seed == 1 else 0) for seed, x in of.items()}
        for key, of in losses.items()
    }
    shifted = rank(moved, moved["1x"], keys)
    moved_to = {standing.key: standing for standing in shifted.standings}
    for before in found.standings:
        assert moved_to[before.key].p_best == pytest.approx(before.p_best, abs=0.08)
        assert moved_to[before.key].loss == pytest.approx(before.loss + shift / 3, abs=0.02)


def test_draws_spread_as_the_standard_error() -> None:
    rng = np.random.default_rng(1)
    seeds = 40
    noise = rng.normal(0, 0.3, (6, seeds))
    effects = fit_effects(np.arange(6)[:, None] + rng.normal(0, 5, seeds) + noise)
    apart = effects.draws[:, 1] - effects.draws[:, 0]
    assert apart.std() == pytest.approx(0.3 * np.sqrt(2 / seeds), rel=0.1)
    assert effects.means[1] - effects.means[0] == pytest.approx(1, abs=0.3)


def test_a_missing_trial_is_made_up_for_by_the_seeds_effect() -> None:
    losses = np.array([[1.0, 2.0, 3.0], [1.5, np.nan, 3.5], [1.25, 2.25, np.nan]])
    effects = fit_effects(losses)
    assert effects.means - effects.means[0] == pytest.approx([0, 0.5, 0.25], abs=1e-6)
    with pytest.raises(ValueError, match="two seeds"):
        fit_effects(np.array([[1.0, np.nan], [np.nan, 2.0]]))


def test_a_seed_that_nobody_trained_changes_nothing() -> None:
    losses = np.array([[0.46, 0.44, 0.48], [0.50, 0.47, np.nan], [0.52, 0.51, 0.55]])
    empty = np.full((3, 1), np.nan)
    plain = fit_effects(losses)
    assert plain.means[[0, 2]] == pytest.approx(losses[[0, 2]].mean(axis=1), abs=0.005)
    for more in (np.hstack([losses, empty, empty]), np.hstack([empty, losses])):
        assert np.array_equal(fit_effects(more).draws, plain.draws)


def test_the_examples_covariance_leaves_the_noise_of_seeds_out() -> None:
    rng = np.random.default_rng(2)
    own = rng.normal(0, 1.0, (2, 1, 3000))  # what a network finds hard, whatever its seed
    covariance = example_covariance([*(own + rng.normal(0, 2.0, (2, 4, 3000)))])
    assert np.diag(covariance) == pytest.approx(1 / 3000, rel=0.15)
    assert covariance[0, 1] == pytest.approx(0, abs=0.1 / 3000)
