"""Conv2d, BatchNorm2d and AdaptiveAvgPool2d that train small networks fast on a CPU.

They are torch's own with another way of computing the same. An exported file has torch's in their
place, by the same names.

torch's convolutions cost a CPU about 0.4 ms each way however small the map, and the weight
gradient of its depthwise ones is slower still. Here they are matrix products, over activations
laid out channel by channel (C, N, H, W in memory; the shape stays N, C, H, W): what one of these
modules writes the next takes as it is. Training on a CPU goes this way, and evaluation of small
maps; larger maps, other devices and tracing take torch's own kernels.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# A depthwise product takes as many multiply-adds for each pixel it writes as the map has pixels:
# up to this area for stride 1, twice it for stride 2, it beats torch's kernel (measured).
MAX_AREA = 100
# pixels of a map up to which evaluation gains too
MAX_EVALUATED = 1024


def takes_fast_path(x: Tensor, training: bool) -> bool:
    """Whether `x` is trained on, or a small map, on a CPU in whole precision; and not traced."""
    return (
        # these first: what is asked of a traced tensor's shape is traced too, and takes longer than
        # the layers do; and a batch of any size has no length to ask for
        torch._C._get_tracing_state() is None
        and not torch.compiler.is_compiling()
        and ((training and torch.is_grad_enabled()) or x.shape[-1] * x.shape[-2] <= MAX_EVALUATED)
        and len(x) > 0
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
    )


def by_channel(x: Tensor) -> Tensor:
    """`x` (N, C, H, W) as (C, N, H * W); no copy where it is laid out channel by channel."""
    n, c, h, w = x.shape
    return x.transpose(0, 1).reshape(c, n, h * w)


def by_image(x: Tensor, height: int) -> Tensor:
    """The inverse of by_channel: (C, N, H * W) seen as (N, C, H, W)."""
    return x.view(x.shape[0], x.shape[1], height, -1).transpose(0, 1)


class Conv2d(nn.Conv2d):
    """A convolution; pointwise and depthwise ones are matrix products where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        matrix = (self.is_pointwise or self.is_depthwise) and takes_fast_path(x, self.training)
        if matrix and self.is_pointwise:
            return pointwise(x, self.weight, self.bias)
        if matrix and x.shape[2] * x.shape[3] <= MAX_AREA * self.stride[0]:
            return depthwise(x, self.weight, self.bias, self.stride[0])
        return super().forward(x)

    @property
    def is_pointwise(self) -> bool:
        """Whether it is 1 x 1 with stride 1, over all channels."""
        alike = self.kernel_size == self.stride == (1, 1) and self.padding == (0, 0)
        return alike and self.groups == 1

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has an odd, square kernel of its own, padded by its half."""
        size, stride = self.kernel_size, self.stride
        return (
            self.groups == self.in_channels == self.out_channels
            and size[0] == size[1]
            and stride[0] == stride[1]
            and size[0] % 2 == 1
            and self.padding == (size[0] // 2, size[1] // 2)
            and self.dilation == (1, 1)
            and self.padding_mode == "zeros"
        )


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1 x 1 convolution with stride 1 as one matrix product over all images and pixels."""
    flat = by_channel(x)
    product = torch.mm(weight.flatten(1), flat.flatten(1))
    if bias is not None:
        product = product + bias[:, None]
    return by_image(product.view(-1, *flat.shape[1:]), x.shape[2])


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
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


@lru_cache(maxsize=256)
def taps(height: int, width: int, kernel: int, stride: int) -> tuple[Tensor, int]:
    """Which tap of a kernel joins which pixels, as 0 and 1, and the rows of the map written.

    The matrix is (kernel^2, pixels in * pixels out), for padding kernel // 2.
    """
    pixels = torch.eye(height * width).view(-1, 1, height, width)
    windows = F.unfold(pixels, kernel, padding=kernel // 2, stride=stride)
    rows = (height + 2 * (kernel // 2) - kernel) // stride + 1
    return windows.transpose(0, 1).reshape(kernel * kernel, -1).contiguous(), rows


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that leaves activations laid out channel by channel as they are."""

    def forward(self, x: Tensor) -> Tensor:
        if not takes_fast_path(x, self.training) or x.is_contiguous():
            return super().forward(x)
        flat, share = by_channel(x), self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if share is None:  # the mean over all batches, as for averaged weights
                share = 1 / float(self.num_batches_tracked)
        normed = F.batch_norm(
            flat.view(1, len(flat), -1),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training,
            momentum=share or 0.0,
            eps=self.eps,
        )
        return by_image(normed.view_as(flat), x.shape[2])


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """Average pooling to a number of pixels; to one, the mean of every channel's map."""

    def forward(self, x: Tensor) -> Tensor:
        if self.output_size != 1 or not takes_fast_path(x, self.training):
            return super().forward(x)
        # contiguous, so that dropout after it draws the mask that it draws after torch's own
        return by_channel(x).mean(2).t().contiguous()[:, :, None, None]
