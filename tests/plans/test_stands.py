"""What a candidate stands for: counted on EfficientNet-B0 at 2x."""

import statistics

import pytest

from scalesearch.networks import zoo
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Coefficients, Scale, scale_arch
from scalesearch.plans.stands import model_stand, stand, stands, too_few
from scalesearch.spaces.space import Grid, Proxy, Space, Steps

B0 = zoo.find("efficientnet_b0")
DATA = (1, 10)


def space_of(pixels: int, stride: int | None, most: float = 1.4) -> Space:
    gammas = tuple((pixels + i) / pixels for i in range(round(pixels * most) - pixels + 1))
    grid = Grid(
        alpha=Steps(start=1, stop=1.6, step=0.2),
        beta=Steps(start=1, stop=1.5, step=0.1),
        gamma=gammas,
    )
    proxy = Proxy(
        width=0.125, divisor=1, resolution=pixels, output_stride=stride, dropout=0.0, grid=grid
    )
    return Space(name="s", model="efficientnet_b0", grid=grid, proxies={"quick": proxy})


def test_a_candidate_stands_for_the_model_with_the_resolution_that_the_budget_leaves() -> None:
    found = model_stand(B0, 1.0, 1.4, 1.4, 2.0, "flops")
    shape = scale_arch(B0, Scale(1.0, 1.4))
    for pixels, nearest in ((found.resolution, True), (found.resolution + 1, False)):
        cost = count(scale_arch(shape, Scale(1, 1, pixels / 224))).flops / count(B0).flops
        assert (abs(cost - found.ratio) < 1e-12) == nearest
    assert found.ratio == pytest.approx(2, rel=0.04)
    # the first default headline: 40 % wider, 40 % larger; on B0 itself the budget leaves 3 %
    assert found.coefficients == Coefficients(1.0, 1.4, round(found.resolution / 224, 10))
    assert found.difference == pytest.approx(found.coefficients.gamma / 1.4 - 1)
    assert not found.faithful
    assert model_stand(B0, 1.0, 1.4, 1.0, 2.0, "flops").faithful


def test_of_several_points_the_one_that_is_nearest_stands() -> None:
    points = [Coefficients(1, 1.2, 1.2), Coefficients(1, 1.3, 1.2)]
    both = [model_stand(B0, p.alpha, p.beta, 1.2, 2.0, "flops") for p in points]
    nearest = min(both, key=lambda one: abs(one.difference))
    assert stand(B0, points, 1.2, 2.0, "flops") == nearest


def test_a_budget_that_no_resolution_meets_keeps_the_proxys_gamma() -> None:
    found = model_stand(B0, 1.2, 1.1, 1.15, 2.0, "params")
    assert (found.coefficients.gamma, found.difference, found.faithful) == (1.15, 0, True)


@pytest.mark.parametrize(
    ("pixels", "stride", "networks", "median", "kept", "least", "most"),
    [
        (20, None, 27, 0.184, 3, 1.0, 1.05),
        (20, 8, 14, 0.045, 9, 1.0, 1.3),
        (16, 4, 10, 0.029, 6, 1.0, 1.375),
    ],
)
def test_how_many_candidates_of_a_proxy_stand_for_a_network_of_b0(
    pixels: int,
    stride: int | None,
    networks: int,
    median: float,
    kept: int,
    least: float,
    most: float,
) -> None:
    found = stands(space_of(pixels, stride), "quick", DATA)
    assert len(found) == networks
    assert statistics.median(abs(one.difference) for one in found.values()) == pytest.approx(
        median, abs=0.002
    )
    gammas = [one.proxy_gamma for one in found.values() if one.faithful]
    assert (len(gammas), min(gammas), max(gammas)) == (kept, least, most)


def test_too_few_are_told_with_near_misses_and_the_key_that_brings_more() -> None:
    space = space_of(20, None)
    said = too_few(space, "quick", DATA)
    assert said is not None
    assert said.startswith(
        "3 of 27 candidates stand for a network of efficientnet_b0 whose gamma is within 5% of "
        "theirs, and a choice needs 5; near misses: "
    )
    assert said.endswith("; output_stride: 8, gamma by whole pixels")
    assert too_few(space_of(20, 8), "quick", DATA) is None
