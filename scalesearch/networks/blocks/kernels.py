"""Convolutions and batch norm as a CPU computes them fast, for training small networks.

torch's depthwise convolutions cost a CPU about 0.2 ms each way however small the map, and the
weight gradient of their kernels of 5 x 5 takes thirty times as long as the convolution. Its batch
norm gathers statistics one value at a time. Here small maps are matrix products, large kernels
have their gradient of 3 x 3 taps at a time, and statistics are those of torch's group norm.

Activations (N, C, H, W) are laid out channel by channel: C, N, H, W in memory.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# values from which torch's group norm is faster than its batch norm, whose statistics cost more
# for each value but come with the running ones (measured)
GROUPED_FROM = 2**15


def by_channel(x: Tensor) -> Tensor:
    """`x` (N, C, H, W) as (C, N, H * W); no copy where it is laid out channel by channel."""
    n, c, h, w = x.shape
    return x.transpose(0, 1).reshape(c, n, h * w)


def by_image(x: Tensor, height: int) -> Tensor:
    """The inverse of by_channel: (C, N, H * W) seen as (N, C, H, W)."""
    return x.view(x.shape[0], x.shape[1], height, -1).transpose(0, 1)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1 x 1 convolution with stride 1 as one matrix product over all images and pixels."""
    flat = by_channel(x)
    product = torch.mm(weight.flatten(1), flat.flatten(1))
    if bias is not None:
        product = product + bias[:, None]
    return by_image(product.view(-1, *flat.shape[1:]), x.shape[2])


def depthwise_product(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """A depthwise convolution as one matrix product for each channel.

    A channel's kernel is spread into the matrix (pixels in, pixels out) of the same linear map:
    kernel @ taps, whose gradient is a product again.
    """
    height, width = x.shape[2:]
    spread, rows = taps(height, width, weight.shape[-1], stride)
    maps = torch.mm(weight.flatten(1), spread.to(x.dtype)).view(len(weight), height * width, -1)
    product = torch.bmm(by_channel(x), maps)
    if bias is not None:
        product = product + bias[:, None, None]
    return by_image(product, rows)


def to_one_pixel(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution, padded by half its kernel, of maps so small that it writes a single pixel.

    It is a product with the taps that fall on the map; torch's kernel multiplies the others too.
    """
    half = weight.shape[-1] // 2
    height, width = x.shape[2:]
    used = weight[:, :, half : half + height, half : half + width]
    return F.linear(x.flatten(1), used.flatten(1), bias)[:, :, None, None]


@lru_cache(maxsize=256)
def taps(height: int, width: int, kernel: int, stride: int) -> tuple[Tensor, int]:
    """Which tap of a kernel joins which pixels, as 0 and 1, and the rows of the map written.

    The matrix is (kernel^2, pixels in * pixels out), for padding kernel // 2.
    """
    pixels = torch.eye(height * width).view(-1, 1, height, width)
    windows = F.unfold(pixels, kernel, padding=kernel // 2, stride=stride)
    rows = (height + 2 * (kernel // 2) - kernel) // stride + 1
    return windows.transpose(0, 1).reshape(kernel * kernel, -1).contiguous(), rows


def depthwise_by_taps(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A depthwise convolution by torch's kernel, with gradients that take no longer than it."""
    found: Tensor = DepthwiseByTaps.apply(x.contiguous(), weight, stride)  # type: ignore[no-untyped-call]
    return found


class DepthwiseByTaps(torch.autograd.Function):
    """A depthwise convolution of (N, C, H, W), padded by half its kernel (C, 1, k, k)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = depthwise_input_gradient(x, gradient, weight, ctx.stride)
        if ctx.needs_input_grad[1]:
            of_weight = depthwise_weight_gradient(x, gradient, weight, ctx.stride)
        return of_x, of_weight, None


def depthwise_input_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """That of stride 1 is the same convolution with the kernel turned round, which is faster."""
    half = weight.shape[-1] // 2
    if stride == 1:
        return F.conv2d(gradient, weight.flip(2, 3), None, 1, half, 1, len(weight))
    return convolution_backward(x, gradient, weight, stride, half, (True, False, False))[0]


def depthwise_weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Gradient of all taps, (C, 1, k, k): 3 x 3 at a time, for which torch's kernel is fast."""
    size = weight.shape[-1]
    of_weight = (False, True, False)
    if size <= 3:
        return convolution_backward(x, gradient, weight, stride, size // 2, of_weight)[1]
    padded = F.pad(x, [size // 2] * 4)
    rows, columns = ((pixels - 1) * stride + 3 for pixels in gradient.shape[2:])
    found = torch.empty_like(weight)
    starts = [*range(0, size - 3, 3), size - 3]
    for top in starts:
        for left in starts:
            window = padded[:, :, top : top + rows, left : left + columns]
            part = weight[:, :, :3, :3]
            part = convolution_backward(window, gradient, part, stride, 0, of_weight)[1]
            found[:, :, top : top + 3, left : left + 3] = part
    return found


def convolution_backward(
    x: Tensor, gradient: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, ...]
) -> tuple[Tensor, ...]:
    """torch's gradients of a depthwise convolution: of x, the weight and a bias, as wanted."""
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        len(weight),
        wanted,
    )
    return found


def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running: tuple[Tensor, Tensor],
    share: float,
    eps: float,
) -> Tensor:
    """Batch norm in training, laid out channel by channel; moves the running mean and variance."""
    flat = by_channel(x).contiguous()
    if flat.numel() < GROUPED_FROM:
        together = flat.view(1, len(flat), -1)
        normed = F.batch_norm(together, *running, weight, bias, True, share, eps)
    else:
        normed = group_norm_of_channels(flat, weight, bias, running, share, eps)
    return by_image(normed.view_as(flat), x.shape[2])


def group_norm_of_channels(
    flat: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running: tuple[Tensor, Tensor],
    share: float,
    eps: float,
) -> Tensor:
    """Batch norm of (C, N, H * W) as group norm of one image that has each channel for a group."""
    channels, count = len(flat), flat[0].numel()
    normed, mean, inverse = torch.native_group_norm(
        flat, weight, bias, 1, channels, count, channels, eps
    )
    with torch.no_grad():
        variance = inverse[0].pow(-2).sub_(eps).mul_(count / (count - 1))
        running[0].lerp_(mean[0], share)
        running[1].lerp_(variance, share)
    return normed
