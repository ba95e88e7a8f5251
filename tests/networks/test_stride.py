"""Output stride: the earliest strides go, the rest of the network stays."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import scalesearch as ss
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks import build_network, weighted_loss
from scalesearch.networks.blocks.layout import map_sides
from scalesearch.networks.count import count
from scalesearch.networks.files import read_model
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.stride import total_stride, with_output_stride, with_strides
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import Grid, Proxy, Space
from tests.conftest import Command

OWN = {name: 4 if name == "lenet5" else 32 for name in zoo.MODELS}
CASES = [(name, stride) for name in zoo.MODELS for stride in (1, 2, 4, 8, 16, 32)]
CASES = [(name, stride) for name, stride in CASES if stride <= OWN[name]]
UNPADDED = {"alexnet", "inception_v3", "lenet5"}  # whose other rows take pixels off a map
FAMILIES = [next(iter(family.MODELS)) for family in zoo.FAMILIES.values()]


def scaled(arch: Arch, **axes: float) -> Arch:
    """The arch scaled along those axes that have a meaning for it."""
    fixed = dict(arch.rules.fixed)
    return scale_arch(arch, Scale(**{k: v for k, v in axes.items() if k not in fixed}))


@pytest.mark.parametrize(("name", "stride"), CASES)
def test_the_product_of_all_strides_is_what_was_asked_for(name: str, stride: int) -> None:
    arch = zoo.find(name)
    assert total_stride(arch) == OWN[name]
    eased = with_output_stride(arch, stride)
    assert total_stride(eased) == stride
    assert with_output_stride(eased, stride) == eased
    assert with_output_stride(with_output_stride(arch, min(16, OWN[name])), min(stride, 4)) == (
        with_output_stride(arch, min(stride, 4))
    )
    axes = {"depth": 1.5, "width": 0.5, "resolution": 0.5}
    assert with_output_stride(scaled(arch, **axes), stride) == scaled(eased, **axes)
    assert (eased == arch) == (stride == OWN[name])
    assert (eased.depths, eased.widths, eased.resolution) == (
        arch.depths,
        arch.widths,
        arch.resolution,
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_have_the_images_pixels_over_the_stride_and_parameters_stay(name: str) -> None:
    arch = replace(zoo.find(name), resolution=128)
    params = count(arch).params
    for stride in [n for n in (1, 2, 4, 8, 16, 32) if n <= OWN[name]]:
        eased = with_output_stride(arch, stride)
        if name not in UNPADDED:
            assert map_sides(eased)[-1] == 128 / stride
        else:
            assert map_sides(arch)[-1] <= map_sides(eased)[-1] <= 128 / stride
        assert count(eased).params == params


def strides(arch: Arch) -> list[int]:
    """Strides of the rows without branches, where they have one."""
    return [row.stride for _, rows in arch.parts for row in rows if row.stride > 1]


def test_the_earliest_strides_go_first() -> None:
    b0 = zoo.find("efficientnet_b0")
    eased = with_output_stride(b0, 8)
    assert [row.stride for row in b0.stages] == [1, 2, 2, 2, 1, 2, 1]
    assert eased.stem[0].stride == 1
    assert [row.stride for row in eased.stages] == [1, 1, 2, 2, 1, 2, 1]
    # a stride of 4 gives what is asked of it: 4 x 2 x 2 x 2 to 2 x 2 x 2 x 2
    assert strides(with_output_stride(zoo.find("alexnet"), 16)) == [2, 2, 2, 2]
    # ResNet's stem: its convolution, then its pool
    stem = with_output_stride(zoo.find("resnet18"), 16).stem
    assert [row.stride for row in stem] == [1, 2]
    stem = with_output_stride(zoo.find("resnet18"), 8).stem
    assert [row.stride for row in stem] == [1, 1]


def test_pools_without_overlap_stay_so_and_other_rows_are_padded() -> None:
    vgg = with_output_stride(zoo.find("vgg11"), 8)
    pools = [row for row in vgg.stages if row.block == "max_pool"]
    assert [(row.kernel, row.stride, row.padding) for row in pools] == [
        *((1, 1, 0), (1, 1, 0)),
        *((2, 2, 0), (2, 2, 0), (2, 2, 0)),
    ]
    alexnet = with_output_stride(zoo.find("alexnet"), 8).stem[0]
    assert (alexnet.kernel, alexnet.stride, alexnet.kernel_padding) == (11, 1, 5)
    # subsampling sums kernel x kernel pixels; the weights are its maps'
    lenet = with_output_stride(zoo.find("lenet5"), 2).stem[1]
    assert (lenet.kernel, lenet.stride) == (1, 1)


def test_reductions_of_branches_lose_their_stride_in_every_branch() -> None:
    inception = zoo.find("inception_v3")
    eased = with_output_stride(inception, 2)  # the stem's three strides and the first reduction's
    inner = [[row.stride for row in branch] for branch in eased.stages[2].branches]
    assert inner == [[1], [1, 1, 1], [1]]
    assert [row.stride for row in eased.stem] == [1] * 7
    inner = [[row.stride for row in branch] for branch in eased.stages[6].branches]
    assert inner == [[1, 2], [1, 1, 1, 2], [2]]
    # stem 32: unpadded rows without a stride take 2 pixels each; then 28, 28, and 13 by 3 x 3
    assert map_sides(replace(eased, resolution=32))[-1] == 13


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_without_its_early_strides_learns(name: str) -> None:
    arch = scaled(zoo.find(name), width=0.125, depth=0.1)
    arch = with_output_stride(replace(arch, resolution=32, train_resolution=0, classes=10), 4)
    network = build_network(arch)
    images = torch.randn(2, arch.channels, 32, 32)
    weighted_loss(network, images, lambda logits: logits.square().mean()).backward()
    assert network.eval()(images).shape == (2, 10)


@pytest.mark.parametrize("stride", [0, 3, 64])
def test_a_stride_that_the_network_has_not_is_refused(stride: int) -> None:
    rule = "output_stride must divide its own of 32: 1, 2, 4, 8, 16 or 32"
    with pytest.raises(ValueError, match=f"^resnet18: {rule}; got {stride}$"):
        with_output_stride(zoo.find("resnet18"), stride)


def test_blocks_of_branches_that_all_stride_lose_all_or_none() -> None:
    branch = (Stage(block="conv", width=8, stride=2),)
    row = Stage(block="branches", branches=(branch, branch), depth=2)
    arch = replace(zoo.find("resnet18"), name="mine", stem=(), stages=(row,))
    assert total_stride(arch) == 4
    assert total_stride(with_output_stride(arch, 1)) == 1
    with pytest.raises(ValueError, match=r"^mine: output_stride 2 is not reached, for a row of"):
        with_output_stride(arch, 2)


def space_of(model: str, **keys: object) -> tuple[Space, Proxy]:
    proxy = Proxy(resolution=32, width=0.25, divisor=2, **keys)
    grid = Grid(alpha=(1.0,), beta=(1.0,), gamma=(1.0,))
    return Space(name="s", model=model, grid=grid, proxies={"quick": proxy}), proxy


def test_a_proxy_has_an_output_stride() -> None:
    plain, eased = (
        proxy_baseline(*space_of("efficientnet_b0", **keys), 1, 10)
        for keys in ({}, {"output_stride": 8})
    )
    assert isinstance(plain, Arch)
    assert eased == with_output_stride(plain, 8)
    # after its stem_stride: of 4 x 2 x 2 x 2 x 2 with 1 for 4 there are 16
    both = proxy_baseline(*space_of("resnet18", stem_stride=1, output_stride=8), 1, 10)
    assert isinstance(both, Arch)
    assert [row.stride for row in (*both.stem, *both.stages)] == [1, 1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match="must divide its own of 16"):
        proxy_baseline(*space_of("resnet18", stem_stride=1, output_stride=32), 1, 10)


def test_a_function_of_ones_own_has_no_output_stride() -> None:
    with pytest.raises(ValueError, match="output_stride needs a stage table, and python:a:b is a"):
        proxy_baseline(*_own(), 1, 10)


def _own() -> tuple[Space, Proxy]:
    space, _ = space_of("efficientnet_b0")
    proxy = Proxy(output_stride=8)
    return replace(space, model="python:a:b", proxies={"quick": proxy}), proxy


def test_cost_and_scale_take_an_output_stride(scalesearch: Command, tmp_path: Path) -> None:
    line = ("cost", "resnet18", "--resolution", 32, "--output-stride", 8, "--json")
    found = json.loads(scalesearch(*line).stdout)
    eased = replace(with_output_stride(zoo.find("resnet18"), 8), resolution=32)
    assert found["flops"] == count(eased).flops == ss.cost("resnet18", 32, 8).flops

    line = ("scale", "resnet", "--strategy", "width", "--phi", 1, "--mode", "formula")
    done = scalesearch(*line, "--match", "mobilenet_v1_w0.25", "--output-stride", 16, "--out", "f")
    assert done.returncode == 0, done.stderr
    members = sorted((tmp_path / "f").rglob("*.yaml"))
    assert len(members) == 2
    for path in members:
        member = read_model(path)
        assert isinstance(member, Arch)
        assert total_stride(member) == 16
    eased = replace(eased, resolution=224)
    family = ss.scale(
        "resnet", strategy="width", phi=(0,), mode="formula", match=(), output_stride=8
    )
    assert family.members[0].flops == count(eased).flops


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("cost", "vgg11", "--output-stride", 5), "vgg11: output_stride must divide its own of 32"),
        (
            (
                "scale",
                "resnet",
                "--strategy",
                "width",
                "--phi",
                1,
                "--match",
                "lenet5",
                "--output-stride",
                8,
            ),
            "lenet5: output_stride must divide its own of 4: 1, 2 or 4; got 8",
        ),
        (
            ("scale", "efficientnet", "--published", "--output-stride", 8),
            "--output-stride must not be given beside published, whose networks have theirs",
        ),
    ],
)
def test_an_output_stride_without_meaning_is_one_line(
    scalesearch: Command, line: tuple[object, ...], said: str
) -> None:
    done = scalesearch(*line)
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_proxy_names_the_strides_that_it_keeps() -> None:
    b0 = zoo.find("efficientnet_b0")
    kept = with_strides(b0, (2, 1, 1, 2, 1))
    assert [row.stride for row in (*kept.stem, *kept.stages)] == [2, 1, 1, 1, 2, 1, 1, 1]
    assert total_stride(kept) == 4 and count(kept).params == count(b0).params
    assert with_strides(b0, (2, 2, 2, 2, 2)) == b0
    assert with_strides(b0, (1, 1, 2, 2, 2)) == with_output_stride(b0, 8)
    assert with_strides(zoo.find("vgg11"), (1, 1, 2, 2, 2)) == (
        with_output_stride(zoo.find("vgg11"), 8)
    )
    proxied = proxy_baseline(*space_of("efficientnet_b0", strides=(2, 1, 1, 2, 1)), 1, 10)
    assert isinstance(proxied, Arch) and map_sides(proxied)[-1] == 8
    for strides in ((2, 2), (2, 1, 1, 2, 3), (4, 2, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"strides must divide \[2, 2, 2, 2, 2\]; got \["):
            with_strides(b0, strides)
    with pytest.raises(ValueError, match="strides of branches cannot be told one by one"):
        with_strides(zoo.find("inception_v3"), (1,) * 5)
