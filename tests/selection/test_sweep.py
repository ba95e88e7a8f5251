"""The sweep of the learning rate: what it shows, how often it is wrong, what it could not show."""

import numpy as np
import pytest

from scalesearch.selection.outlook import at_border, trials_wanted
from scalesearch.selection.sampler import Draws
from scalesearch.selection.sweep import RATES, Losses, swap_of

NOISE = 0.01
KNOWN = np.full((1, 2), NOISE)
Network = dict[float, dict[int, float]]


def swept(best: float, level: float, octave: float, seeds: int, noise: float, seed: int) -> Network:
    """Losses of a network whose best rate is `best` octaves up, which grow with their square."""
    rng = np.random.default_rng(seed)
    return {
        rate: {
            s: level + octave * (np.log2(rate) - best) ** 2 + rng.normal(0, noise)
            for s in range(seeds)
        }
        for rate in RATES
    }


def test_rates_that_swap_two_networks_are_shown() -> None:
    first, second = swept(0, 0.40, 0.05, 3, 1e-4, 0), swept(1, 0.37, 0.05, 3, 1e-4, 1)
    found = swap_of(first, second, KNOWN)
    assert found is not None and found.shown
    # at the recipe's rate 0.40 and 0.37 + 0.05; at the best of each 0.40 and 0.37
    assert found.shared == pytest.approx(-0.02, abs=1e-3)
    assert found.own == pytest.approx(0.03, abs=1e-3)
    assert found.rates == (1.0, 2.0)
    assert found.octave == pytest.approx(0.05, abs=1e-3)
    assert found.power > 0.95 and found.wanted == 2


def test_rates_that_change_little_swap_nothing() -> None:
    found = swap_of(swept(0, 0.40, 0.05, 3, 1e-4, 0), swept(0, 0.42, 0.05, 3, 1e-4, 1), KNOWN)
    assert found is not None and not found.shown and found.power > 0.95


@pytest.mark.parametrize("octave", [0.0, 0.005, 0.02])
def test_at_most_one_false_alarm_in_twenty(octave: float) -> None:
    alarms = 0
    for i in range(400):
        level = np.random.default_rng(i).normal(0, 0.01)
        found = swap_of(
            swept(0, 0.4, octave, 3, NOISE, 2 * i),
            swept(0, 0.4 + level, octave, 3, NOISE, 2 * i + 1),
            KNOWN,
        )
        assert found is not None
        alarms += abs(found.own - found.shared) > found.margin
    assert alarms <= 400 * 0.05 + 9  # two standard errors


def test_the_power_that_is_said_is_had() -> None:
    said, shown = [], 0
    for i in range(300):
        pair = swept(0, 0.4, 0.02, 3, NOISE, 2 * i), swept(1, 0.4, 0.02, 3, NOISE, 2 * i + 1)
        found = swap_of(*pair, KNOWN)
        assert found is not None
        said.append(found.power)
        shown += abs(found.own - found.shared) > found.margin
    assert np.mean(said) == pytest.approx(shown / 300, abs=0.1)


def test_more_seeds_are_wanted_where_an_octave_costs_less() -> None:
    def wanted(octave: float) -> int:
        exact = [swept(0, 0.4, octave, 3, 0.0, i) for i in (0, 1)]
        found = swap_of(*exact, KNOWN)
        assert found is not None
        return found.wanted or 1000

    assert wanted(0.02) < wanted(0.01) < wanted(0.005) < wanted(0.0) == 1000


def test_a_seed_that_lacks_a_rate_does_not_count() -> None:
    whole, broken = swept(0, 0.4, 0.01, 3, NOISE, 0), swept(0, 0.4, 0.01, 3, NOISE, 1)
    del broken[2.0][0], broken[2.0][1]
    assert swap_of(whole, broken, KNOWN) is None
    alone: Losses = {1.0: {0: 0.4}}
    assert swap_of(whole, alone, KNOWN) is None


def test_trials_wanted_fall_with_the_bound_and_are_none_where_it_is_met() -> None:
    rng = np.random.default_rng(0)
    effects = 0.4 + rng.normal(0, 0.01, (2000, 4))
    draws = Draws(effects, effects, effects[:, 0] + 0.1, np.full(effects.shape, 0.01))
    # four that tie: the regret of any is the mean of the lowest of four, 1.03 deviations down
    assert trials_wanted(draws, 0.0110) == 0
    some, more = trials_wanted(draws, 0.004), trials_wanted(draws, 0.001)
    assert some is not None and more is not None and 0 < some < more
    assert trials_wanted(draws, 0.0) is None


def test_what_lies_on_a_border_by_hand() -> None:
    shares = np.array([0.5, 0.2, 0.3])
    assert at_border(shares, [1.0, 1.2, 1.4], [1.0, 1.2, 1.4]) == {1.0: 0.5, 1.4: 0.3}
    assert at_border(shares, [1.2, 1.2, 1.0], [1.0, 1.2, 1.4]) == {1.0: 0.3, 1.4: 0.0}
    assert at_border(shares, [1.0, 1.0, 1.0], [1.0]) == {}
