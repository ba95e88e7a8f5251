"""What a candidate stands for: counted on EfficientNet-B0 at 2x."""

import re
import statistics
from dataclasses import replace

import pytest

from scalesearch.networks import zoo
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Coefficients, Scale, scale_arch
from scalesearch.plans.limits import Limit
from scalesearch.plans.stands import (
    Stands,
    faithful_keys,
    is_model_itself,
    model_stand,
    stand,
    stands,
    too_few,
)
from scalesearch.spaces.budget import parse_budget
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


TWICE = Limit(parse_budget("2x").target, 2.0, 0.05)


def found_in(pixels: int, stride: int | None) -> Stands:
    return stands(space_of(pixels, stride), "quick", DATA, TWICE)


def test_a_candidate_stands_for_the_model_with_the_resolution_that_the_budget_leaves() -> None:
    found = model_stand(B0, 1.0, 1.4, 1.4, 2.0, "flops")
    shape = scale_arch(B0, Scale(1.0, 1.4))
    for pixels, nearest in ((found.resolution, True), (found.resolution + 1, False)):
        cost = count(scale_arch(shape, Scale(1, 1, pixels / 224))).flops / count(B0).flops
        assert (abs(cost - found.ratio) < 1e-12) == nearest
    assert found.ratio == pytest.approx(2, rel=0.04)
    # the first default headline: 40 % wider, 40 % larger; on B0 itself the budget leaves none
    assert found.coefficients == Coefficients(1.0, 1.4, round(found.resolution / 224, 10))
    assert found.difference == pytest.approx(found.coefficients.gamma / 1.4 - 1)
    assert not found.faithful(0.05)
    assert model_stand(B0, 1.0, 1.4, 1.0, 2.0, "flops").faithful(0.05)


def test_of_several_points_the_one_that_is_nearest_stands() -> None:
    points = [Coefficients(1, 1.2, 1.2), Coefficients(1, 1.3, 1.2)]
    both = [model_stand(B0, p.alpha, p.beta, 1.2, 2.0, "flops") for p in points]
    nearest = min(both, key=lambda one: abs(one.difference))
    assert stand(B0, points, 1.2, 2.0, "flops") == nearest


def test_where_nothing_is_solved_a_candidate_stands_for_its_own_point() -> None:
    point = Coefficients(1.2, 1.1, 1.15)
    for ratio, measure in ((2.0, "params"), (2.0, "ms"), (None, "flops")):
        found = stand(B0, [point], 1.2, ratio, measure)  # type: ignore[arg-type]
        assert (found.coefficients, found.difference, found.resolution) == (point, 0, 258)
    # of several the one whose nominal cost is nearest what it costs
    assert stand(B0, [Coefficients(1, 1, 1), point], 1, None, "flops").coefficients == (
        Coefficients(1, 1, 1)
    )
    small = replace(B0, channels=1, classes=10)
    assert is_model_itself(small, B0)
    assert not is_model_itself(replace(small, resolution=223), B0)


@pytest.mark.parametrize(
    ("pixels", "stride", "networks", "median", "alike", "least", "most"),
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
    alike: int,
    least: float,
    most: float,
) -> None:
    found = found_in(pixels, stride)
    assert len(found) == networks
    assert statistics.median(abs(one.difference) for one in found.values()) == pytest.approx(
        median, abs=0.002
    )
    gammas = [one.proxy_gamma for one in found.values() if one.faithful(0.05)]
    assert (len(gammas), min(gammas), max(gammas)) == (alike, least, most)


def test_of_those_that_stand_for_one_network_one_is_kept_and_none_off_the_budget() -> None:
    found = found_in(20, 8)
    chosen = faithful_keys(found, TWICE)
    models = [found[key].key for key in chosen]
    assert len(set(models)) == len(models)
    for key, one in found.items():
        within = abs(one.ratio / 2 - 1) <= 0.05
        assert not one.faithful(0.05) or within == (one.key in models)
        nearer = [found[k] for k in chosen if found[k].key == one.key]
        assert key in chosen or not nearer or abs(nearer[0].difference) <= abs(one.difference)
    # 224 px is where B0's maps grow by a pixel all at once: 1.6/1/1 there costs 1.84x
    assert any(one.faithful(0.05) and one.ratio < 1.85 for one in found.values())


def test_too_few_are_told_with_near_misses_and_the_key_that_brings_more() -> None:
    space = space_of(20, None)
    said = too_few(space, "quick", DATA, found_in(20, None), TWICE)
    assert said is not None
    assert re.fullmatch(
        r"\d of 27 networks within the budget stand for one of efficientnet_b0 that is within it "
        r"too, its gamma within 5% of theirs, and a choice needs 5; near misses: (\S+ stands for "
        r"gamma \S+ \(\S+%\) at \S+x(, )?){3}; output_stride: 8, gamma by whole pixels",
        said,
    )
    assert too_few(space_of(20, 8), "quick", DATA, found_in(20, 8), TWICE) is None
