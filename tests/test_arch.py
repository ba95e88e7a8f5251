"""Rounding and scaling, by arithmetic."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesearch import zoo
from scalesearch.arch import (
    Coefficients,
    Scale,
    round_depth,
    round_resolution,
    round_width,
    scale_arch,
)


@pytest.mark.parametrize(
    ("width", "divisor", "rounded"),
    [
        (40 * 1.1, 8, 48),  # 44 lies in the middle: up
        (24 * 1.1, 8, 24),  # 26.4: 24 loses 9 %, which is allowed
        (16 * 0.6, 8, 16),  # 9.6: 8 would lose 17 %, more than 10 %
        (32 * 0.1, 8, 8),  # never below the divisor
        (1280 * 1.2, 8, 1536),
        (12 * 1.1, 4, 12),
    ],
)
def test_width_goes_to_the_nearest_multiple_and_loses_no_more_than_a_tenth(
    width: float, divisor: int, rounded: int
) -> None:
    assert round_width(width, divisor) == rounded


def test_depth_is_not_moved_by_binary_fractions() -> None:
    assert 1.1**2 * 100 > 121, "the reason for rounding before the ceiling"
    assert round_depth(1.1**2 * 100, "ceil") == 121
    assert round_depth(1.2 * 3, "ceil") == 4
    assert round_depth(2.5, "round") == 3
    assert round_depth(0.2, "round") == 1


def test_resolution_goes_to_the_nearest_pixel() -> None:
    assert round_resolution(224 * 1.15) == 258  # 257.6
    assert round_resolution(224 * 1.3) == 291  # 291.2
    assert round_resolution(0.2) == 1


@pytest.mark.parametrize(
    ("name", "widths", "depths", "head"),
    [
        ("efficientnet_b2", (16, 24, 48, 88, 120, 208, 352), (2, 3, 3, 4, 4, 5, 2), 1408),
        ("efficientnet_b4", (24, 32, 56, 112, 160, 272, 448), (2, 4, 4, 6, 6, 8, 2), 1792),
        ("efficientnet_b7", (32, 48, 80, 160, 224, 384, 640), (4, 7, 7, 10, 10, 13, 4), 2560),
        ("efficientnet_l2", (72, 104, 176, 344, 480, 824, 1376), (6, 11, 11, 16, 16, 22, 6), 5504),
    ],
)
def test_published_members_have_the_published_tables(
    name: str, widths: tuple[int, ...], depths: tuple[int, ...], head: int
) -> None:
    arch = zoo.find(name)
    assert (arch.widths, arch.depths, arch.head[0].width) == (widths, depths, head)


@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_scaling_by_one_changes_nothing(name: str) -> None:
    assert scale_arch(zoo.MODELS[name], Scale()) == zoo.MODELS[name]


def test_a_bottleneck_keeps_its_inner_width_on_the_divisor() -> None:
    scaled = scale_arch(zoo.find("resnet50"), Scale(width=1.1))
    assert scaled.widths == (288, 576, 1120, 2240)  # 281.6, 563.2, 1126.4, 2252.8 in steps of 32
    assert all(width * 0.25 % 8 == 0 for width in scaled.widths)


def test_mobilenet_v2_keeps_its_head_when_it_is_narrowed() -> None:
    assert zoo.find("mobilenet_v2_w0.5").head[0].width == 1280
    assert zoo.find("mobilenet_v2_w1.4").head[0].width == 1792


def test_the_key_names_the_network_and_not_its_name() -> None:
    arch = zoo.find("efficientnet_b0")
    assert replace(arch, name="other").key == arch.key
    assert replace(arch, resolution=225).key != arch.key


def test_coefficients_are_raised_to_phi() -> None:
    found = Coefficients(1.2, 1.1, 1.15)
    assert found.at(2) == Scale(1.2**2, 1.1**2, 1.15**2)
    assert found.nominal == pytest.approx(1.2 * 1.1**2 * 1.15**2)


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        zoo.find("resnet5O")


@given(width=st.floats(1, 5000), divisor=st.sampled_from([1, 2, 4, 8, 16]))
def test_a_rounded_width_is_a_multiple_and_loses_at_most_a_tenth(
    width: float, divisor: int
) -> None:
    rounded = round_width(width, divisor)
    assert rounded % divisor == 0
    assert rounded >= 0.9 * width - 1e-6
    assert rounded <= width + divisor
