"""Conv2d, BatchNorm2d, MaxPool2d and AdaptiveAvgPool2d that train small networks fast on a CPU.

They are torch's own with another way of computing the same (kernels.py). An exported file has
torch's in their place, by the same names.

Activations are laid out channel by channel (C, N, H, W in memory; the shape stays N, C, H, W):
what one of these modules writes the next takes as it is. Training on a CPU goes this way, and
evaluation of small maps; larger maps, other devices and tracing take torch's own kernels.
"""

import torch
from torch import Tensor, nn

from scalesearch.networks.blocks.kernels import (
    GROUPED_FROM,
    batch_norm,
    by_channel,
    by_image,
    depthwise_by_taps,
    depthwise_product,
    pointwise,
    to_one_pixel,
)

# A depthwise product takes as many multiply-adds for each pixel it writes as the map has pixels.
# Up to this area for stride 1, twice it for stride 2, it beats torch's kernel; the larger the
# kernel, the more that one has to do (measured).
MAX_AREA = {3: 50, 5: 100}
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


class Conv2d(nn.Conv2d):
    """A convolution; pointwise and depthwise ones are matrix products where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.is_pointwise or self.is_centred) or not takes_fast_path(x, self.training):
            return super().forward(x)
        if self.is_pointwise:
            return pointwise(x, self.weight, self.bias)
        size, stride = self.kernel_size[0], self.stride[0]
        if self.groups == 1:
            single = max(x.shape[2:]) <= min(stride, size // 2 + 1)
            return to_one_pixel(x, self.weight, self.bias) if single else super().forward(x)
        if x.shape[2] * x.shape[3] <= MAX_AREA.get(size, MAX_AREA[5]) * stride:
            return depthwise_product(x, self.weight, self.bias, stride)
        if self.training and self.bias is None:
            return depthwise_by_taps(x, self.weight, stride)
        return super().forward(x)

    @property
    def is_pointwise(self) -> bool:
        """Whether it is 1 x 1 with stride 1, over all channels."""
        alike = self.kernel_size == self.stride == (1, 1) and self.padding == (0, 0)
        return alike and self.groups == 1

    @property
    def is_centred(self) -> bool:
        """Whether its kernel is odd, square and padded by its half, over all channels or one."""
        size, stride = self.kernel_size, self.stride
        return (
            (self.groups == 1 or self.groups == self.in_channels == self.out_channels)
            and size[0] == size[1]
            and stride[0] == stride[1]
            and size[0] % 2 == 1
            and self.padding == (size[0] // 2, size[1] // 2)
            and self.dilation == (1, 1)
            and self.padding_mode == "zeros"
        )


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm over activations that are laid out channel by channel."""

    def forward(self, x: Tensor) -> Tensor:
        if not takes_fast_path(x, self.training):
            return super().forward(x)
        if x.is_contiguous() and (not self.training or x.numel() < GROUPED_FROM):
            return super().forward(x)
        if not self.training:
            return self.evaluated(x)
        if self.running_mean is None or self.running_var is None or x.numel() == x.shape[1]:
            return super().forward(x)  # which says what is wrong with a single value
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if share is None:  # the mean over all batches, as for averaged weights
                share = 1 / float(self.num_batches_tracked)
        running = (self.running_mean, self.running_var)
        return batch_norm(x, self.weight, self.bias, running, share or 0.0, self.eps)

    def evaluated(self, x: Tensor) -> Tensor:
        """By the running statistics, in the layout that it came in."""
        flat = by_channel(x)
        normed = super().forward(flat.view(1, len(flat), 1, -1))
        return by_image(normed.view_as(flat), x.shape[2])


class MaxPool2d(nn.MaxPool2d):
    """Max pooling of all channels of a pixel at a time, as torch does it channels last."""

    def forward(self, x: Tensor) -> Tensor:
        fast = takes_fast_path(x, self.training)
        pooled: Tensor = super().forward(
            x.contiguous(memory_format=torch.channels_last) if fast else x
        )
        # back again, or the convolution after it would go on channels last
        return pooled.contiguous() if fast else pooled


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """Average pooling to a number of pixels; to one, the mean of every channel's map."""

    def forward(self, x: Tensor) -> Tensor:
        if self.output_size != 1 or not takes_fast_path(x, self.training):
            return super().forward(x)
        # a sum's gradient is seen by each pixel and not written for it, as that of a mean is
        mean = by_channel(x).sum(2) / (x.shape[2] * x.shape[3])
        # contiguous, so that dropout after it draws the mask that it draws after torch's own
        return mean.t().contiguous()[:, :, None, None]
