"""A look inside a network: its maps, what a pixel of them sees, and what is said of a bad proxy."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import scalesearch as ss
from scalesearch.cli.studies import show_plan
from scalesearch.files import plain
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch, InputTooSmall, Stage
from scalesearch.networks.blocks import build_network
from scalesearch.networks.count import count
from scalesearch.networks.custom import CustomModel, custom_model
from scalesearch.networks.models import realised
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.stride import with_output_stride
from scalesearch.plans.look import Look, look, traced_block
from scalesearch.plans.remarks import remarks

FAMILIES = [next(iter(family.MODELS)) for family in zoo.FAMILIES.values()]
# Araujo, Norris & Sim 2019, Computing Receptive Fields of Convolutional Neural Networks, table of
# section 5 (distill.pub/2019/computing-receptive-fields), of networks with the same strides
PUBLISHED = {"alexnet": 195, "vgg16": 212, "mobilenet_v1": 315, "inception_v3": 1311}


def proxy(model: str, pixels: int, width: float, stride: int | None = None) -> Arch:
    arch = zoo.find(model)
    arch = replace(arch, classes=10, rules=replace(arch.rules, divisor=1))
    arch = scale_arch(arch, Scale(1, width, pixels / arch.resolution))
    return arch if stride is None else with_output_stride(arch, stride)


@pytest.mark.parametrize("name", PUBLISHED)
def test_receptive_fields_are_the_published(name: str) -> None:
    assert look(zoo.find(name)).receptive_field == PUBLISHED[name]


def test_a_pixel_of_the_last_map_has_gradients_from_its_receptive_field_alone() -> None:
    arch = replace(proxy("resnet18", 160, 1 / 16, 8), channels=1)
    network = build_network(arch).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # so that nothing cancels and every unit is on
    images = torch.rand(1, 1, 160, 160, requires_grad=True)
    maps = network.head(network.stages(network.stem(images)))
    maps[0, :, 10, 10].sum().backward()
    assert images.grad is not None
    for axis in (0, 1):
        (touched,) = images.grad[0, 0].amax(axis).nonzero(as_tuple=True)
        assert touched[-1] - touched[0] + 1 == look(arch).receptive_field == 115


def test_the_look_inside_the_first_default_proxy_word_for_word() -> None:
    arch = replace(proxy("efficientnet_b0", 20, 0.125), channels=1)
    found = look(arch)
    assert found.sides == (10, 10, 5, 3, 2, 2, 1, 1)
    assert (found.blocks, found.narrow_blocks, found.tiny_blocks) == (16, 13, 11)
    assert 0.8 < found.narrow_flops < 0.81
    assert remarks([replace(arch, resolution=px) for px in (20, 24, 28)], 28) == (
        "11 of 16 blocks work on maps of 2 px or less: depth cannot show; output_stride: 8",
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_no_family_is_told_anything_of_its_own_size(name: str) -> None:
    arch = zoo.find(name)
    found = look(arch)
    assert remarks([arch], None) == ()
    assert len(found.sides) == len(arch.stages) + bool(arch.stem)
    assert found.narrow_blocks == (name == "lenet5")  # whose last convolution leaves one pixel


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "lenet5"])
def test_what_is_named_mends_it(name: str) -> None:
    pixels = {"inception_v3": 80, "alexnet": 70}.get(name, 40)
    arch = replace(proxy(name, pixels, 0.25), train_resolution=0)
    (said,) = remarks([arch], None)
    least = 2 if "2 px or less" in said else 3
    assert f"blocks work on maps of {least} px" in said
    stride = int(said.removeprefix(said.partition("output_stride: ")[0] + "output_stride: "))
    mended = look(with_output_stride(arch, stride))
    assert (mended.tiny_blocks, mended.narrow_blocks)[least - 2] == 0
    worse = look(with_output_stride(arch, stride * 2))
    assert (worse.tiny_blocks, worse.narrow_blocks)[least - 2] > 0


def test_shares_are_of_blocks_and_of_multiply_adds() -> None:
    arch = proxy("mobilenet_v1", 20, 0.125, 16)  # maps of 20, 20, 10, 5, 3, 2
    found = look(arch)
    assert found.sides == (20, 20, 10, 5, 3, 2)
    assert (found.blocks, found.narrow_blocks, found.tiny_blocks) == (13, 8, 2)
    wide, narrow = (4, 8, 16, 32, 64, 128), 0
    for i, depth, inputs in [(4, 1, 32), (4, 5, 64), (5, 1, 64), (5, 1, 128)]:
        narrow += depth * found.sides[i] ** 2 * inputs * (9 + wide[i])
    assert found.narrow_flops == pytest.approx(narrow / count(arch).flops)


def test_networks_of_a_grid_share_the_looks_at_their_blocks() -> None:
    arch = zoo.find("efficientnet_b0")  # 18 blocks, of 9 kinds and more
    before = traced_block.cache_info().misses
    fields = {look(replace(arch, resolution=px)).receptive_field for px in range(200, 240)}
    assert fields == {851}
    assert traced_block.cache_info().misses - before < 18 * 40 / 4


def test_what_a_pool_to_one_size_leaves_is_not_followed() -> None:
    rows = [Stage(block="conv", width=8, stride=2), Stage(block="adaptive_pool", kernel=3)]
    last = Stage(block="conv", width=8)
    before, after = (
        look(Arch(name="pooled", resolution=32, stem=(), stages=(*rows[:n], last))) for n in (1, 2)
    )
    assert (before.sides, before.receptive_field) == ((16, 16), 7)
    assert (after.sides, after.receptive_field) == ((16, 3, 3), 3)
    assert after.narrow_flops == 0


def test_training_images_are_looked_at_where_they_are_smaller() -> None:
    arch = proxy("efficientnet_v2_b0", 32, 0.25, 4)
    assert (arch.resolution, arch.train_resolution) == (32, 27)
    assert look(arch).sides == (27, 27, 27, 27, 14, 14, 7)


@pytest.mark.parametrize(
    ("pixels", "resolutions", "said"),
    [
        (20, [20, 28], ()),
        (
            20,
            [20, 24, 30, 34],
            (
                "2 of 4 candidates ask for up to 34 px and the images have 28: enlarged they show "
                "no more; resolution: 16",
            ),
        ),
        (
            32,
            [32, 40],
            (
                "the baseline asks for 32 px and the images have 28: enlarged they show no more; "
                "resolution: 28",
            ),
        ),
    ],
)
def test_candidates_larger_than_the_images_are_told(
    pixels: int, resolutions: list[int], said: tuple[str, ...]
) -> None:
    arch = proxy("resnet18", pixels, 0.125, 4)
    archs = [arch, *(replace(arch, resolution=px) for px in resolutions)]
    assert remarks(archs, 28) == said
    assert remarks(archs, None) == ()


def test_images_that_no_stride_can_help_are_asked_to_be_larger() -> None:
    arch = proxy("mobilenet_v1", 3, 0.125, 1)
    assert remarks([arch], None) == (
        "13 of 13 blocks work on maps of 3 px: depth cannot show; use larger images: resolution",
    )
    with pytest.raises(InputTooSmall, match="stages row 3"):
        look(proxy("mobilenet_v1", 3, 0.125))


class Odd(nn.Module):
    """Functions and keywords in place of modules: dilation, a shortcut, a gate, a row by column."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.weight = nn.Parameter(torch.ones(4, 4, 3, 3))
        self.gate = nn.Conv2d(4, 4, 1)
        self.row = nn.Conv2d(4, 4, (1, 7), padding=(0, 3))
        self.last = nn.Linear(4, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu(self.first(images))
        dilated = nn.functional.conv2d(x, self.weight, stride=1, padding=2, dilation=2)
        x = torch.cat([x[:, :2], dilated[:, :2]], 1)
        x = x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = nn.functional.max_pool2d(self.row(x), kernel_size=2)
        return self.last(x.mean((2, 3)))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustomModel:
    module = type(sys)("odd_network")
    module.made = lambda depth, width, resolution: Odd()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_network", module)
    found = realised(custom_model("python:odd_network:made", 6))
    assert isinstance(found, CustomModel)
    return found


def test_a_functions_network_is_traced(own: CustomModel) -> None:
    # 6 px, 3 after the first; 3, then 5 by steps of 2, then 7 along one axis, then a pair
    found = look(own)
    assert found.receptive_field == 3 + 2 * 4 + 2 * 6 + 2
    flops = {3: 9 * (1 * 4 * 9 + 4 * 4 * 9 + 4 * 4 * 7)}
    assert found == Look(
        sides=(3,),
        receptive_field=25,
        blocks=3,
        narrow_blocks=3,
        tiny_blocks=0,
        narrow_flops=flops[3] / count(own).flops,
    )
    assert remarks([own, own, replace(own, resolution=8)], 6) == (
        "3 of 3 convolutions work on maps of 3 px: depth cannot show; use larger images: "
        "resolution",
        "1 of 2 candidates ask for up to 8 px and the images have 6: enlarged they show no more; "
        "resolution: 4",
    )


OLD = """
model: efficientnet_b0
grid: {alpha: [1.0, 1.4], beta: [1.0, 1.1], gamma: [1.0, 1.6]}
proxies:
  quick: {data: fashion-mnist, width: 0.125, divisor: 1, resolution: 20, dropout: 0.0}
"""


def test_a_plan_looks_inside_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.yaml").write_text(OLD)
    plan = ss.plan(tmp_path / "old.yaml")
    found = plain(plan)
    assert found["images"] == 28
    assert found["baseline"]["inside"]["sides"] == [10, 10, 5, 3, 2, 2, 1, 1]
    assert found["remarks"] == [
        "11 of 16 blocks work on maps of 2 px or less: depth cannot show; output_stride: 8",
        "1 of 1 networks within the budget stand for one of efficientnet_b0 that is within it too, "
        "its gamma within 5% of theirs, and a choice needs 5; widen the grid, or take finer steps "
        "in it",
    ]
    for row in found["candidates"]:
        assert row["inside"]["blocks"] == sum(row["depths"])
    show_plan(plan)
    shown = capsys.readouterr().out
    for remark in found["remarks"]:
        assert f"warning: {remark}" in shown.splitlines()
    assert re.search(r"1x baseline +20 +10 10 5 3 2 2 1 1 +851 +13 of 16 +80%", shown)
