"""The law: recovers what it was made from, and says so where there is nothing to recover."""

import numpy as np
import pytest

from scalesearch.selection.law import (
    Law,
    Shape,
    chosen_form,
    error,
    f_test,
    fit_law,
    rank_correlation,
    summit,
)

PEAK = (0.5, 0.3)


def shape(ratio: float, x: float, y: float) -> Shape:
    """A shape with those shares of the log of its cost."""
    return Shape(ratio, ratio ** (x / 2), ratio ** (y / 2))


def exponent(x: float, y: float, bend: float) -> float:
    return 0.12 - bend * ((x - PEAK[0]) ** 2 + (y - PEAK[1]) ** 2)


GRID = [(x, y) for x in (0.0, 0.25, 0.5, 0.75) for y in (0.0, 0.25, 0.5)]


def fitted(bend: float, noise: float) -> Law:
    rng = np.random.default_rng(0)
    shapes = [Shape(1, 1, 1), *(shape(2, x, y) for x, y in GRID)]
    means = np.array([0.5, *(0.5 * 2 ** -exponent(x, y, bend) for x, y in GRID)])
    means = means + rng.normal(0, noise, len(means))
    draws = means + rng.normal(0, max(noise, 1e-9), (2000, len(means)))
    return fit_law(shapes, means, draws)


def test_shares_add_up_to_what_depth_leaves() -> None:
    assert shape(2, 0.5, 0.25).shares == pytest.approx((0.5, 0.25))
    assert Shape(4, 2, 1).shares == pytest.approx((1, 0))
    assert Shape(1, 1, 1).shares == (0, 0)


def test_a_hill_is_found_where_it_is() -> None:
    law = fitted(bend=0.3, noise=1e-4)
    assert law.form == "quadratic"
    found = law.optimum()
    assert found is not None
    for axis, true in zip(("width", "resolution"), PEAK, strict=True):
        value, (low, high) = found[axis]
        assert value == pytest.approx(true, abs=0.05)
        assert low <= true <= high
    value, (low, high) = law.predict(shape(4, *PEAK))
    assert value == pytest.approx(0.5 * 4 ** -exponent(*PEAK, 0.3), rel=0.01)
    assert low < value < high


def test_noise_supports_no_shape() -> None:
    law = fitted(bend=0.0, noise=0.005)
    assert law.form == "constant" and law.optimum() is None
    assert min(law.tests.values()) >= 0.05
    value, (low, high) = law.predict(shape(2, 0.5, 0.3))
    assert low < 0.5 * 2**-0.12 < high and value == pytest.approx(0.46, abs=0.01)


def test_a_valley_has_no_summit() -> None:
    assert summit(np.array([0, 0.1, 0.1, 0.1, 1.0, 0.0, 1.0])) is None
    assert summit(np.array([0, 0.1, 0.2, 0.4, -1.0, 0.0, -2.0])) == pytest.approx([0.1, 0.1])


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="a law needs three networks"):
        fit_law([Shape(1, 1, 1)] * 2, np.ones(2), np.ones((5, 2)))


def test_rank_correlation_and_error_by_hand() -> None:
    a = np.array([1.0, 2.0, 3.0, 4.0])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)
    assert rank_correlation(a, np.array([2.0, 1.0, 4.0, 3.0])) == pytest.approx(0.6)
    assert rank_correlation(a, np.ones(4)) == 0
    assert error([1.0, 2.0], [1.0, 4.0]) == pytest.approx(2**0.5)


@pytest.mark.parametrize("unequal", [False, True], ids=["equal noise", "unequal noise"])
def test_at_most_one_null_case_in_twenty_claims_a_shape(unequal: bool) -> None:
    rng = np.random.default_rng(1)
    shapes = [Shape(1, 1, 1), *(shape(2, x, y) for x, y in GRID)]
    claimed = 0
    for _ in range(600):
        noise = 0.006 * (rng.choice([0.5, 1, 1.5], len(shapes)) if unequal else 1)
        losses = np.array([0.46] + [0.43] * len(GRID)) + rng.normal(0, noise, len(shapes))
        claimed += chosen_form(shapes, np.log(losses))[0] != "constant"
    assert claimed <= 30


def test_a_p_value_by_hand() -> None:
    # 1, 2, 3 in three places: of their six orders two, up and down, are as steep as that
    simple, rich = np.ones((3, 1)), np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 1.0]])
    assert f_test(simple, rich, np.array([1.0, 2.1, 3.0])) == pytest.approx(1 / 3, abs=0.04)
