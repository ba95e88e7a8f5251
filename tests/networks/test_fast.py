"""The fast modules compute what torch's own do, in training and in evaluation on a CPU."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.cpu import plain
from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.blocks.fast import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    MaxPool2d,
)
from scalesearch.networks.cost import cost
from scalesearch.networks.scaling import Scale, scale_arch


def both(fast: nn.Module, plain: nn.Module, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Output, input gradient and parameter gradients of the two modules, side by side."""
    plain.load_state_dict(fast.state_dict())
    found = []
    for module in (fast, plain):
        inputs = x.clone().requires_grad_()
        out = module.train()(inputs)
        torch.manual_seed(1)
        (out * torch.randn(out.shape)).sum().backward()
        gradients = [p.grad for p in module.parameters()]
        found.append([out.detach(), inputs.grad, *gradients, *module.buffers()])
    return list(zip(*found, strict=True))


def assert_equal(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for mine, theirs in pairs:
        scale = theirs.abs().max().clamp(min=1)
        torch.testing.assert_close(mine / scale, theirs / scale, rtol=0, atol=3e-6)


@pytest.mark.parametrize("laid_out_by_channel", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 10, 14, 15, 28])
@pytest.mark.parametrize("bias", [False, True])
def test_depthwise_equals_torch(
    bias: bool, side: int, kernel: int, stride: int, laid_out_by_channel: bool
) -> None:
    torch.manual_seed(side)
    x = torch.randn(3, 7, side, side)
    if laid_out_by_channel:
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    arguments = (7, 7, kernel, stride, kernel // 2, 1, 7, bias)
    fast = Conv2d(*arguments)
    assert fast.is_centred
    assert_equal(both(fast, nn.Conv2d(*arguments), x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "sides"),
    [
        (3, 1, (1, 1)),
        (3, 2, (2, 1)),
        (3, 3, (3, 3)),
        (5, 3, (3, 2)),
        (7, 2, (2, 2)),
        (1, 2, (2, 2)),
    ],
)
def test_a_convolution_of_a_tiny_map_equals_torch(
    kernel: int, stride: int, sides: tuple[int, int], bias: bool
) -> None:
    x = torch.randn(4, 6, *sides, generator=torch.Generator().manual_seed(0))
    arguments = (6, 9, kernel, stride, kernel // 2, 1, 1, bias)
    assert_equal(both(Conv2d(*arguments), nn.Conv2d(*arguments), x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (4, 5, 3, 3), (2, 5, 8, 6)])
def test_pointwise_equals_torch(shape: tuple[int, ...], bias: bool) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert_equal(both(Conv2d(5, 9, 1, bias=bias), nn.Conv2d(5, 9, 1, bias=bias), x))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "dilation": 2, "padding": 1, "groups": 6},
        {"kernel_size": 3, "padding": 1, "groups": 6, "padding_mode": "reflect"},
        {"kernel_size": (1, 3), "padding": (0, 1), "groups": 6},
        {"kernel_size": 3, "padding": "same", "groups": 6},
        {"kernel_size": 2, "groups": 6},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 1, "groups": 3},
        {"kernel_size": 3},
    ],
)
def test_any_other_convolution_is_torchs_own(options: dict[str, Any]) -> None:
    x = torch.randn(2, 6, 5, 5).transpose(0, 1).contiguous().transpose(0, 1)
    mine, theirs = Conv2d(6, 6, **options), nn.Conv2d(6, 6, **options)
    theirs.load_state_dict(mine.state_dict())
    assert torch.equal(mine(x), theirs(x))


@pytest.mark.parametrize("shape", [(6, 5, 4, 4), (64, 5, 11, 12)])
@pytest.mark.parametrize("laid_out_by_channel", [False, True])
def test_batch_norm_and_pooling_equal_torch(
    laid_out_by_channel: bool, shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
    if laid_out_by_channel:
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert_equal(both(BatchNorm2d(5, 1e-3, 0.01), nn.BatchNorm2d(5, 1e-3, 0.01), x))
    # averaged weights ask for the mean over all batches (torch.optim.swa_utils.update_bn)
    assert_equal(both(BatchNorm2d(5, momentum=None), nn.BatchNorm2d(5, momentum=None), x))
    assert_equal(both(AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(1), x))
    for options in ((3, 1, 1), (3, 2, 1), (2, 2)):
        # of many equal values, as after an activation, each is the largest of some window
        assert_equal(both(MaxPool2d(*options), nn.MaxPool2d(*options), x.relu().round()))


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "resnet18"])
def test_training_follows_the_plain_network(name: str) -> None:
    arch = scale_arch(zoo.find(name), Scale(width=0.25, resolution=32 / 224))
    curves = []
    for prepare in (lambda network: network, plain):
        torch.manual_seed(0)
        # in double precision, for batch norm on maps of one pixel multiplies what rounding leaves
        network = prepare(build_network(arch)).double().train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        generator = torch.Generator().manual_seed(1)
        curve = []
        for _ in range(4):
            torch.manual_seed(2)  # dropout and stochastic depth
            images = torch.randn(16, 3, 32, 32, generator=generator).double()
            labels = torch.randint(1000, (16,), generator=generator)
            loss = nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append(loss.item())
        curves.append(curve)
    assert curves[0] == pytest.approx(curves[1], rel=1e-9)
    assert curves[0][0] != curves[0][-1]


def test_the_fast_path_is_taken_in_training_and_on_small_maps() -> None:
    conv = Conv2d(4, 4, 3, padding=1, groups=4)
    small, large = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 40, 40)
    assert not conv.train()(small).is_contiguous()
    assert not conv.eval()(small).is_contiguous()
    point = Conv2d(4, 8, 1)
    assert not point.train()(large).is_contiguous()
    assert point.eval()(large).is_contiguous()
    with torch.no_grad():
        torch.testing.assert_close(point(small), nn.Conv2d.forward(point, small))
        assert conv(small[:0]).shape == (0, 4, 6, 6)


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "resnet18"])
def test_evaluation_is_the_same_function_as_torchs(name: str) -> None:
    torch.manual_seed(0)
    arch = scale_arch(zoo.find(name), Scale(1, 0.25, 24 / 224))
    network = build_network(replace(arch, classes=10, dropout=0.0)).double()
    images = torch.randn(8, 3, 24, 24, dtype=torch.float64)
    network.train()(images)  # running statistics of their own
    with torch.no_grad():
        expected = plain(copy.deepcopy(network)).eval()(images)
        torch.testing.assert_close(network.eval()(images), expected, rtol=1e-9, atol=1e-9)


def test_repeating_a_step_gives_the_same_bits() -> None:
    x = torch.randn(8, 6, 7, 7)
    conv = Conv2d(6, 6, 5, padding=2, groups=6)
    gradients = []
    for _ in range(2):
        conv.zero_grad()
        conv(x).square().sum().backward()
        gradients.append(conv.weight.grad.clone())
    assert torch.equal(*gradients)


def test_cost_is_counted_as_before() -> None:
    assert cost(zoo.find("efficientnet_b0")).flops == 385_814_752
