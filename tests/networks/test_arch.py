"""Rounding, scaling and keys: arithmetic that needs no network."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch, Auxiliary, Hidden, Rules, Stage
from scalesearch.networks.files import dump_model, read_model
from scalesearch.networks.scaling import (
    Coefficients,
    Scale,
    round_depth,
    round_resolution,
    round_width,
    scale_arch,
)
from scalesearch.spaces.files import check_space

# stem, widths, repeats, head of the published EfficientNets: the TPU code's rounding of Table 1
EFFICIENTNETS = {
    "b0": (32, (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1), 1280),
    "b1": (32, (16, 24, 40, 80, 112, 192, 320), (2, 3, 3, 4, 4, 5, 2), 1280),
    "b2": (32, (16, 24, 48, 88, 120, 208, 352), (2, 3, 3, 4, 4, 5, 2), 1408),
    "b3": (40, (24, 32, 48, 96, 136, 232, 384), (2, 3, 3, 5, 5, 6, 2), 1536),
    "b4": (48, (24, 32, 56, 112, 160, 272, 448), (2, 4, 4, 6, 6, 8, 2), 1792),
    "b5": (48, (24, 40, 64, 128, 176, 304, 512), (3, 5, 5, 7, 7, 9, 3), 2048),
    "b6": (56, (32, 40, 72, 144, 200, 344, 576), (3, 6, 6, 8, 8, 11, 3), 2304),
    "b7": (64, (32, 48, 80, 160, 224, 384, 640), (4, 7, 7, 10, 10, 13, 4), 2560),
    "b8": (72, (32, 56, 88, 176, 248, 424, 704), (4, 8, 8, 11, 11, 15, 4), 2816),
    "l2": (136, (72, 104, 176, 344, 480, 824, 1376), (6, 11, 11, 16, 16, 22, 6), 5504),
}


@pytest.mark.parametrize(
    ("width", "divisor", "max_loss", "rounded"),
    [
        (40 * 1.1, 8, 0.1, 48),  # 44 is half way, and 44.00000000000001 in binary
        (24 * 1.1, 8, 0.1, 24),  # 26.4
        (16 * 1.1, 8, 0.1, 16),
        (3, 8, 0.1, 8),  # never below the divisor
        (11, 8, 0.1, 16),  # 8 would lose 27 %
        (11, 8, 1.0, 8),  # google/automl's rounding gives nothing back
        (8.8, 8, 0.1, 8),  # 8 loses 9.1 %
        (30, 4, 0.1, 32),
        (100, 64, 0.1, 128),
    ],
)
def test_widths_go_to_the_nearest_multiple(
    width: float, divisor: int, max_loss: float, rounded: int
) -> None:
    assert round_width(width, divisor, max_loss) == rounded


def test_depths_round_up_or_to_the_nearest() -> None:
    assert round_depth(1.1 * 10, "ceil") == 11  # 11.000000000000002 in binary
    assert round_depth(1.1 * 3, "ceil") == 4
    assert round_depth(1.1 * 3, "round") == 3
    assert round_depth(2.5, "round") == 3
    assert round_depth(0.2, "round") == round_depth(0.2, "ceil") == 1


def test_resolutions_go_to_the_nearest_multiple() -> None:
    assert round_resolution(224 * 1.15) == 258  # 257.6
    assert round_resolution(0.2) == 1
    assert round_resolution(258, 32) == 256
    assert round_resolution(272, 32) == 288
    assert round_resolution(3, 32) == 32


@pytest.mark.parametrize("name", EFFICIENTNETS)
def test_published_efficientnets_have_the_published_widths_and_repeats(name: str) -> None:
    arch = zoo.find(f"efficientnet_{name}")
    assert (arch.stem[0].width, arch.widths, arch.depths, arch.head[0].width) == EFFICIENTNETS[name]


def test_coefficients_at_phi() -> None:
    found = Coefficients(1.2, 1.1, 1.15)
    assert found.at(0) == Scale()
    assert found.at(2) == Scale(1.2**2, 1.1**2, 1.15**2)
    assert found.nominal == pytest.approx(1.9203, abs=5e-5)


def test_the_key_is_of_the_network_not_of_its_name_or_rules() -> None:
    arch = zoo.find("resnet50")
    assert replace(arch, name="mine", rules=Rules(divisor=32)).key == arch.key
    assert len({x.key for x in zoo.MODELS.values()}) == len(zoo.MODELS)
    changes = (
        replace(arch, resolution=225),
        replace(arch, classes=10),
        replace(arch, pool=2),
        replace(arch, hidden=(Hidden(64),)),
        replace(arch, stages=(*arch.stages[:3], replace(arch.stages[3], groups=2))),
    )
    assert len({arch.key, *(changed.key for changed in changes)}) == 6


def test_keys_are_those_that_studies_of_the_first_version_have() -> None:
    known = {
        "efficientnet_b0": "3eb27dd43f16",
        "googlenet": "feed904446fd",  # the columns of branches and auxiliary heads are in it too
        "inception_v3": "ec72a9035e3f",
    }
    assert {name: zoo.find(name).key for name in known} == known


def test_a_row_may_still_say_once_for_fixed_depth(tmp_path: Path) -> None:
    old = dump_model(zoo.find("inception_v3")).replace("fixed_depth:", "once:")
    assert "once: true" in old
    (tmp_path / "old.yaml").write_text(old)
    assert read_model(tmp_path / "old.yaml") == zoo.find("inception_v3")
    space = {"model": yaml.safe_load(old), "grid": {"alpha": [1, 2], "beta": [1], "gamma": [1]}}
    content = {"name": "old", **space, "proxies": {"quick": {"data": "shapes"}}}
    assert check_space(content, "old.yaml").model == zoo.find("inception_v3")
    with pytest.raises(ValueError, match="once is not a key"):
        check_space({**content, "once": True}, "old.yaml")


def test_groups_stay_valid_when_a_grouped_bottleneck_is_widened() -> None:
    for width in (0.3, 0.55, 1.3, 1.7):
        for row in scale_arch(zoo.find("resnext50_32x4d"), Scale(width=width)).stages:
            assert row.groups == 32
            assert row.width * row.expand % 32 == 0


def test_each_branch_is_widened_and_their_sum_is_the_width() -> None:
    inception_3a = zoo.find("googlenet").stages[0]
    wider = scale_arch(zoo.find("googlenet"), Scale(width=1.2)).stages[0]
    widths = [[row.width for row in branch] for branch in inception_3a.branches]
    assert widths == [[64], [96, 128], [16, 32], [0, 32]]  # 0: a pool keeps its input's
    widths = [[row.width for row in branch] for branch in wider.branches]
    assert widths == [[80], [112, 152], [24, 40], [0, 40]]  # 76.8 115.2 153.6 19.2 38.4
    assert wider.width_after(192) == 80 + 152 + 40 + 40


def test_hidden_layers_and_auxiliary_heads_are_widened() -> None:
    assert [layer.width for layer in scale_arch(zoo.find("vgg16"), Scale(width=0.5)).hidden] == [
        2048,
        2048,
    ]
    head = scale_arch(zoo.find("googlenet"), Scale(width=2)).auxiliary[0]
    assert (head.rows[1].width, head.hidden[0].width) == (256, 2048)


def test_depth_repeats_blocks_but_no_pool_and_no_reduction() -> None:
    assert scale_arch(zoo.find("vgg11"), Scale(depth=2)).depths == (2, 1, 2, 1, 4, 1, 4, 1, 4, 1)
    deeper = scale_arch(zoo.find("inception_v3"), Scale(depth=2))
    assert deeper.depths == (2, 4, 1, 2, 4, 2, 1, 4)


def test_training_resolution_is_scaled_with_resolution() -> None:
    arch = scale_arch(zoo.find("efficientnet_v2_s"), Scale(resolution=0.5))
    assert (arch.resolution, arch.train_resolution) == (192, 150)
    assert scale_arch(zoo.find("resnet18"), Scale(resolution=0.5)).train_resolution == 0


def test_resolution_keeps_to_the_rules_multiple() -> None:
    arch = replace(zoo.find("resnet18"), rules=Rules(pixels=32))
    assert scale_arch(arch, Scale(resolution=1.15)).resolution == 256


@pytest.mark.parametrize("axis", ["depth", "width"])
def test_an_axis_without_meaning_is_refused_with_its_reason(axis: str) -> None:
    with pytest.raises(ValueError, match=f"^lenet5: {axis} cannot be scaled, for .*; got 2$"):
        scale_arch(zoo.find("lenet5"), Scale(**{axis: 2}))


def _arch(*stages: Stage, **fields: object) -> Arch:
    return replace(zoo.find("resnet18"), name="mine", stages=stages, **fields)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Stage(block="conv", width=8, depth=0), "depth must be at least 1, got 0"),
        (Stage(block="conv", width=-8), "width must be at least 0, got -8"),
        (Stage(block="conv", width=8, kernel=(0, 3)), "kernel must be at least 1, got 0"),
        (Stage(block="conv", width=8, groups=0), "groups must be at least 1, got 0"),
        (Stage(block="mbconv", width=8, expand=0), "expand must be above 0, got 0"),
    ],
)
def test_a_row_that_says_nothing_is_refused_by_name(stage: Stage, message: str) -> None:
    with pytest.raises(ValueError, match=f"^mine, stages row 2: {message}$"):
        _arch(Stage(block="conv", width=8), stage)
    with pytest.raises(ValueError, match=f"^mine, stages row 1, branch 1 row 1: {message}$"):
        _arch(Stage(block="branches", branches=((stage,),)))


def test_an_auxiliary_head_needs_its_row() -> None:
    with pytest.raises(ValueError, match=r"^mine, auxiliary 1: after must be a stage row, 1 to 1"):
        _arch(Stage(block="conv", width=8), auxiliary=(Auxiliary(after=2, weight=0.3),))


@given(width=st.floats(1, 5000), divisor=st.sampled_from([1, 2, 4, 8, 16]))
def test_a_rounded_width_is_a_multiple_and_loses_at_most_a_tenth(
    width: float, divisor: int
) -> None:
    rounded = round_width(width, divisor)
    assert rounded % divisor == 0
    assert 0.9 * width - 1e-6 <= rounded <= width + divisor
