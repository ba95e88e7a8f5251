"""Tables that cannot be built: one line that names model, row and rule."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from scalesearch.networks import zoo
from scalesearch.networks.arch import InputTooSmall, Stage
from scalesearch.networks.blocks import build_network
from scalesearch.networks.blocks.blocks import BLOCKS, Block
from scalesearch.networks.blocks.layer import Layer, layer
from scalesearch.networks.blocks.layers import Style
from scalesearch.networks.blocks.layout import map_sides
from scalesearch.networks.cost import cost, measure
from scalesearch.networks.count import count, counted
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.plans.grid import solve_resolution

RESNET = zoo.find("resnet18")


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Stage(block="mbconf", width=64), r"a block must be one of adaptive_pool, .*'mbconf'"),
        (
            Stage(block="conv", width=64, groups=3),
            "groups must divide the channels, got 3 groups for 64 to 64",
        ),
        (
            Stage(block="conv", width=40, groups=16),
            "groups must divide the channels, got 16 groups for 64 to 40",
        ),
        (
            Stage(block="conv_bias", width=66, groups=4),
            "groups must divide the channels, got 4 groups for 64 to 66",
        ),
        (
            Stage(block="bottleneck", width=64, expand=0.25, groups=32),
            "groups must divide the channels, got 32 groups for 16 to 16",
        ),
        (Stage(block="mbconv", width=64, groups=3), "mbconv has no groups, got 3"),
        (Stage(block="basic", width=64, squeeze=0.25), "basic has no squeeze, got 0.25"),
        (Stage(block="subsample", kernel=(1, 2)), r"subsample needs a square kernel, got \(1, 2\)"),
        (
            Stage(
                block="branches",
                branches=(
                    (Stage(block="conv", width=8),),
                    (Stage(block="conv", width=8, stride=2),),
                ),
            ),
            r"the block cannot run on a map of 56 pixels \(.*[Ss]izes",
        ),
        (Stage(block="max_pool", width=32), "max_pool keeps its input's 64 channels, got 32"),
        (Stage(block="sparse_conv", width=16), "sparse_conv must join 6 maps to 16, got 64 to 16"),
        (
            Stage(block="branches", branches=((Stage(block="cov", width=8),),)),
            r"a block must be one of .*'cov'",
        ),
    ],
)
def test_a_row_that_cannot_be_built(stage: Stage, message: str) -> None:
    arch = replace(RESNET, name="mine", stages=(RESNET.stages[0], stage))
    for make in (build_network, count):
        with pytest.raises(ValueError, match=f"^mine, stages row 2: {message}") as caught:
            make(arch)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "resolution", "message"),
    [
        ("resnet18", 8, "stages row 3: the input is too small: stride 2 needs a map"),
        ("vgg16", 24, "stages row 10: the input is too small: stride 2 needs a map"),
        ("alexnet", 30, "stages row 2: the input is too small: the block cannot run on a map of 2"),
        ("lenet5", 24, "stages row 3: the input is too small: the block cannot run on a map of 3"),
        ("inception_v3", 60, "stages row 7: the input is too small: the block cannot run"),
    ],
)
def test_an_input_too_small_for_the_strides(name: str, resolution: int, message: str) -> None:
    arch = replace(zoo.find(name), resolution=resolution)
    for make in (build_network, count):
        with pytest.raises(ValueError, match=f"^{name}, {message}") as caught:
            make(arch)
        assert "\n" not in str(caught.value)


def test_an_initialisation_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match=r"^mine: init must be one of efficientnet, .*; got 'he'$"):
        build_network(replace(RESNET, name="mine", init="he"))


@pytest.mark.parametrize("name", ["efficientnet_b0", "googlenet", "inception_v3", "lenet5"])
def test_map_sides_are_those_of_a_run(name: str) -> None:
    arch = zoo.find(name)
    if name != "lenet5":
        arch = scale_arch(arch, Scale(1.0, 0.25, 107 / arch.resolution))
    network = build_network(arch).eval()
    seen = []
    for block in (*network.stem, *network.stages, *network.head):
        block.register_forward_hook(lambda module, inputs, out: seen.append(out.shape[-1]))
    with torch.no_grad():
        network(torch.zeros(1, arch.channels, arch.resolution, arch.resolution))
    assert tuple(seen) == map_sides(arch)


@pytest.mark.parametrize("name", ["vgg11", "efficientnet_b0"])
def test_the_measured_cost_says_the_same_of_a_small_input(name: str) -> None:
    with pytest.raises(InputTooSmall, match=f"^{name}, stages row .*: the input is too small"):
        cost(replace(zoo.find(name), resolution=14))


def test_a_solved_resolution_is_never_too_small() -> None:
    """Halving VGG's 40 px meets resolutions that it cannot take on its way."""
    arch = replace(zoo.find("vgg11"), resolution=40, classes=10)
    solved = solve_resolution(arch, count(arch).flops * 0.5)
    assert 32 <= solved.resolution < 40
    assert counted(replace(arch, resolution=16)).flops == 0


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("alexnet", 63),  # these four are torchvision's min_size
        ("vgg11", 32),
        ("googlenet", 15),
        ("inception_v3", 75),
        ("resnet18", 17),  # 17, 9, 5, 3, 2: the last stride has something to step over
        ("efficientnet_b0", 17),
    ],
)
def test_the_least_resolution(name: str, least: int) -> None:
    assert map_sides(replace(zoo.find(name), resolution=least))[-1] == 1
    with pytest.raises(InputTooSmall):
        map_sides(replace(zoo.find(name), resolution=least - 1))


def test_a_new_block_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def dilated(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
        return layer(nn.Conv2d, inputs, row.width, 3, stride, padding=2, dilation=2)

    monkeypatch.setitem(BLOCKS, "dilated", Block(dilated))
    arch = replace(RESNET, stages=(Stage(block="dilated", width=32, depth=2, stride=2),))
    wider = scale_arch(arch, Scale(depth=1.5, width=1.25))
    assert (wider.depths, wider.widths) == ((3,), (40,))
    assert count(wider) == measure(build_network(wider), (3, 224, 224))


def test_maps_have_the_same_sides_whatever_device_is_built_on() -> None:
    arch = scale_arch(zoo.find("mobilenet_v2"), Scale(width=0.77))
    with torch.device("meta"):
        there = map_sides(arch)  # not looked at before, so that its blocks are run here
    assert there == map_sides(replace(arch, name="again"))
