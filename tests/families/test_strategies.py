"""Named strategies: exponents, and what they assume of flops."""

import pytest

from scalesearch.families.strategies import STRATEGIES, fast, find, nominal_phi, powers
from scalesearch.networks import zoo
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Coefficients, Scale, scale_arch


def nominal(scale: Scale) -> float:
    """The flops that the strategies take a scale to multiply by."""
    return scale.depth * scale.width**2 * scale.resolution**2


def axes(scale: Scale) -> tuple[float, float, float]:
    return scale.depth, scale.width, scale.resolution


def scale_by(name: str, ratio: float, found: Coefficients | None = None) -> Scale:
    """The scale that the strategy of that name makes of a ratio of flops."""
    direction = find(name, found)
    return direction.at(nominal_phi(direction, ratio))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 16.0, 100.0])
def test_every_strategy_multiplies_nominal_flops_by_the_ratio(name: str, ratio: float) -> None:
    assert nominal(scale_by(name, ratio)) == pytest.approx(ratio)


def test_compound_with_found_coefficients_multiplies_by_the_ratio_too() -> None:
    found = Coefficients(1.3, 1.05, 1.2)
    assert nominal(scale_by("compound", 16, found)) == pytest.approx(16)
    at_one = scale_by("compound", found.nominal, found)
    assert (at_one.depth, at_one.width, at_one.resolution) == pytest.approx((1.3, 1.05, 1.2))


def test_single_axes_at_sixteen_times() -> None:
    assert axes(scale_by("depth", 16)) == pytest.approx((16, 1, 1))
    assert axes(scale_by("width", 16)) == pytest.approx((1, 4, 1))
    assert axes(scale_by("resolution", 16)) == pytest.approx((1, 1, 4))


def test_fast_has_the_exponents_of_alpha_0_8() -> None:
    scale = scale_by("fast", 16)
    assert scale.depth == pytest.approx(16**0.1)  # 1.320
    assert scale.width == pytest.approx(16**0.4)  # 3.031
    assert scale.resolution == pytest.approx(16**0.05)  # 1.149


def test_fast_at_its_ends_is_width_alone_and_uniform() -> None:
    assert axes(fast(1.0).at(4)) == pytest.approx((1, 4, 1))
    assert axes(fast(1 / 3).at(6)) == pytest.approx((4, 2, 2))


def test_efficientnets_exponents() -> None:
    scale = scale_by("efficientnet", 1000)
    # log(1.2), log(1.1), log(1.15) over log(1.9203): 0.279, 0.146, 0.214
    assert scale.depth == pytest.approx(1000**0.2794, rel=2e-3)
    assert scale.width == pytest.approx(1000**0.1461, rel=2e-3)
    assert scale.resolution == pytest.approx(1000**0.2142, rel=2e-3)


def test_fast_grows_activations_less_than_efficientnets_rule() -> None:
    baseline = zoo.find("efficientnet_b0")
    written = {
        name: count(scale_arch(baseline, scale_by(name, 16))).activations
        for name in ("fast", "efficientnet", "width", "depth")
    }
    assert written["width"] < written["fast"] < written["efficientnet"] < written["depth"]


@pytest.mark.parametrize(
    ("name", "coefficients", "message"),
    [
        ("fats", None, "a strategy must be one of compound, depth, .*; got 'fats'"),
        ("compound", None, "the strategy compound needs coefficients"),
        ("fast", Coefficients(1.2, 1.1, 1.15), "fast has exponents of its own"),
        ("compound", Coefficients(1, 1, 1), "coefficients with .* above 1, got 1"),
    ],
)
def test_a_strategy_that_says_nothing_is_refused(
    name: str, coefficients: Coefficients | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find(name, coefficients)


def test_ratios_and_exponents_are_checked() -> None:
    with pytest.raises(ValueError, match="a ratio of flops must be above 0, got -1"):
        scale_by("fast", -1)
    with pytest.raises(ValueError, match="exponents must add up to 1"):
        powers(0.5, 0.5, 0)
