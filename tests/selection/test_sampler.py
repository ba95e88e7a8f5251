"""The posterior's draws: against arithmetic where it is known, and properties elsewhere."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.selection.posterior import credible, in_set, may_be_best, p_best, regrets
from scalesearch.selection.sampler import Floats, additive, pieces, sample

NAN = np.nan


def table(
    truth: list[float], seeds: int, noise: float = 0.01, shared: float = 0.0, seed: int = 0
) -> Floats:
    """Losses (networks, seeds) around those truths."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, noise, (len(truth), seeds))
    return np.array(truth)[:, None] + rng.normal(0, shared, seeds) + own


def test_many_seeds_leave_the_mean_and_its_standard_error() -> None:
    losses = table([0.4, 0.5, 0.6, 0.7], 200)
    draws = sample(losses[:-1], losses[-1])
    assert draws.effects.mean(axis=0) == pytest.approx(losses[:-1].mean(axis=1), abs=2e-4)
    assert draws.baseline.mean() == pytest.approx(losses[-1].mean(), abs=2e-4)
    apart = draws.unshrunk[:, 1] - draws.unshrunk[:, 0]
    assert apart.std() == pytest.approx(0.01 * np.sqrt(2 / 200), rel=0.15)
    assert np.median(draws.noise) == pytest.approx(0.01, rel=0.1)


def test_effects_are_drawn_together_as_far_as_candidates_are_alike() -> None:
    # noise 0.01, four seeds: a mean's error is 0.005, and truths that spread by 0.005 keep half
    rng = np.random.default_rng(3)
    truth = rng.normal(0.4, 0.005, 40)
    losses = table([*truth, 0.5], 4, seed=1)
    draws = sample(losses[:-1], losses[-1])
    means, raw = draws.effects.mean(axis=0), losses[:-1].mean(axis=1)
    slope = np.polyfit(raw - raw.mean(), means - means.mean(), 1)[0]
    assert 0.35 < slope < 0.65
    assert np.abs(means - truth).mean() < np.abs(raw - truth).mean()
    far = sample(losses[:-1] + np.arange(40)[:, None], losses[-1])  # no two are alike
    kept = far.effects.mean(axis=0) - raw - np.arange(40)
    assert np.abs(kept).max() < 0.002


def test_a_seed_that_nobody_trained_changes_nothing() -> None:
    losses = table([0.45, 0.46, 0.47, 0.5], 3)
    empty = np.full((4, 2), NAN)
    wide = np.hstack([losses[:, :1], empty, losses[:, 1:]])
    a, b = sample(losses[:-1], losses[-1]), sample(wide[:-1], wide[-1])
    assert np.array_equal(a.effects, b.effects) and np.array_equal(a.baseline, b.baseline)
    assert a.effects.mean() == pytest.approx(losses[:-1].mean(), abs=0.005)


def test_a_seeds_effect_is_taken_off_where_some_lack_the_seed() -> None:
    losses = table([0.40, 0.41, 0.42, 0.43, 0.5], 4, noise=0.001)
    losses[:, 3] += 0.3  # a hard seed
    losses[1:3, 3] = NAN
    draws = sample(losses[:-1], losses[-1])
    means = draws.effects.mean(axis=0)
    assert means - means[0] == pytest.approx([0, 0.01, 0.02, 0.03], abs=0.003)


def test_a_candidate_without_a_trial_is_one_like_the_others() -> None:
    losses = table([0.40, 0.42, 0.44, 0.46, 0.5], 6, noise=0.002)
    losses[3] = NAN
    draws = sample(losses[:-1], losses[-1])
    assert draws.effects[:, 3].mean() == pytest.approx(0.42, abs=0.01)
    assert draws.effects[:, 3].std() > 5 * draws.effects[:, 0].std()
    assert np.isnan(draws.unshrunk[:, 3]).all() and in_set(draws)[3]


def test_what_half_trained_trials_foretell_counts_by_its_error() -> None:
    losses = table([0.40, 0.42, 0.44, 0.46, 0.5], 4, noise=0.002)
    losses[3] = NAN
    nothing = np.full(4, NAN)
    sure, vague = nothing.copy(), nothing.copy()
    means = nothing.copy()
    means[3], sure[3], vague[3] = 0.38, 1e-8, 1e4
    near = sample(losses[:-1], losses[-1], (means, sure)).effects[:, 3]
    far = sample(losses[:-1], losses[-1], (means, vague)).effects[:, 3]
    none = sample(losses[:-1], losses[-1]).effects[:, 3]
    assert near.mean() == pytest.approx(0.38, abs=1e-3)
    assert far.mean() == pytest.approx(none.mean(), abs=1e-3)


def test_a_noisier_candidate_is_less_sure() -> None:
    losses = table([0.45] * 8 + [0.5], 8)
    losses[2] += np.random.default_rng(1).normal(0, 0.05, 8)
    draws = sample(losses[:-1], losses[-1])
    noise = draws.noise.mean(axis=0)
    assert noise[2] > 2 * np.delete(noise, 2).max()
    assert draws.unshrunk[:, 2].std() > 2 * draws.unshrunk[:, 0].std()


def test_too_few_trials_are_refused() -> None:
    for losses in ([[1.0], [2.0]], [[1.0, NAN], [NAN, 2.0]]):
        with pytest.raises(ValueError, match="two seeds that two networks finished"):
            sample(np.array(losses), np.full(len(losses[0]), NAN))


@settings(max_examples=20, deadline=None)
@given(
    truth=st.lists(st.floats(0.3, 0.6), min_size=2, max_size=6),
    seeds=st.integers(2, 5),
    shift=st.floats(-2, 2),
    scale=st.floats(0.01, 100),
    order=st.randoms(use_true_random=False),
)
def test_neither_a_common_shift_of_a_seed_nor_the_unit_matters(
    truth: list[float], seeds: int, shift: float, scale: float, order: Random
) -> None:
    losses = table([*truth, 0.5], seeds, noise=0.02)
    found = sample(losses[:-1], losses[-1])
    moved = losses.copy()
    moved[:, 1] += shift
    shifted = sample(moved[:-1], moved[-1])
    assert p_best(shifted.effects) == pytest.approx(p_best(found.effects), abs=0.08)
    scaled = sample(scale * losses[:-1], scale * losses[-1])
    assert regrets(scaled.effects) == pytest.approx(scale * regrets(found.effects), rel=1e-6)
    again = sample(losses[:-1], losses[-1])
    assert np.array_equal(again.effects, found.effects), "random numbers are fixed"


def test_additive_effects_by_hand() -> None:
    # rows 1, 3 and columns -1, 1, but for one value that is not there
    fit = additive(np.array([[0.0, 2.0], [2.0, NAN], [2.0, 4.0]]))
    assert fit.rows + fit.columns.mean() == pytest.approx([1, 3, 3])
    assert fit.columns[1] - fit.columns[0] == pytest.approx(2)
    assert fit.freedom == 5 - (3 + 2 - 1)


def test_trials_that_share_nothing_are_counted_apart() -> None:
    assert pieces(np.ones((2, 2), dtype=bool)) == 1
    assert pieces(np.eye(3, dtype=bool)) == 3
    assert pieces(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)) == 2


def test_shares_regrets_and_sets_by_hand() -> None:
    effects = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 1.0, 3.0], [0.0, 2.0, 1.0]])
    assert p_best(effects) == pytest.approx([2.5 / 4, 1.5 / 4, 0])
    # means 1, 1.5, 2.5 less the mean of the lowest, (1 + 1 + 1 + 0) / 4
    assert regrets(effects) == pytest.approx([0.25, 0.75, 1.75])
    assert credible(np.array([0.02, 0.90, 0.04, 0.04])).tolist() == [False, True, True, True]
    assert credible(np.array([0.02, 0.96, 0.01, 0.01])).tolist() == [False, True, False, False]


def test_one_that_is_worse_by_more_than_chance_is_out() -> None:
    rng = np.random.default_rng(0)
    effects = rng.normal([0, 0, 2, 4], 1, (4000, 4))
    # differences have a standard deviation of 1.41: 2 is 1.4 of them, 4 is 2.8; the largest of
    # three that share a term is above 2.06 in one case of twenty
    assert may_be_best(effects).tolist() == [True, True, True, False]
    assert may_be_best(effects[:, :1]).tolist() == [True]
    same = np.tile(rng.normal(0, 1, (100, 1)), (1, 2))
    assert may_be_best(same).tolist() == [True, True], "two that never differ tie"
