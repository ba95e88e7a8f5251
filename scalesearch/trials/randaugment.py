"""The changes of RandAugment (Cubuk et al. 2019, arXiv:1909.13719, section 3), in batches.

Every change is worked out for the whole batch and taken for the images that drew it: so a CUDA
graph may hold it. At a magnitude of 30 a change is the largest; equalize, whose histograms have no
batches, is left out.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # what red, green and blue weigh in grey: ITU-R BT.601
MOST = 0.9  # of a colour's change
ROTATION, SHEAR, MOVE = math.radians(30), 0.3, 0.45


def grey(images: Tensor) -> Tensor:
    """The brightness of each pixel, (n, 1, side, side)."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blend(images: Tensor, other: Tensor, amount: Tensor) -> Tensor:
    """Images moved towards another, or away from it, by an amount of -1 to 1."""
    return (other + (images - other) * (1 + MOST * amount.view(-1, 1, 1, 1))).clamp(0, 1)


def autocontrast(images: Tensor, amount: Tensor) -> Tensor:
    """Each channel stretched from 0 to 1."""
    low, high = images.amin((2, 3), True), images.amax((2, 3), True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-6), images)


def smooth(images: Tensor) -> Tensor:
    """Images under Pillow's smoothing, the middle of nine pixels with 5 parts of 13."""
    kernel = images.new_tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    channels = images.shape[1]
    padded = F.pad(images, (1, 1, 1, 1), "replicate")
    return F.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels)


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Images of 8 bits left with as few as 4."""
    levels = 2 ** (8 - (4 * amount.abs()).round()).view(-1, 1, 1, 1)
    return torch.floor(images * 255 / 256 * levels) / levels * 256 / 255


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Images with what is brighter than a threshold inverted."""
    threshold = 256 * (1 - amount.abs()).view(-1, 1, 1, 1)
    return torch.where(images * 255 >= threshold, 1 - images, images)


def warped(images: Tensor, *rows: Tensor) -> Tensor:
    """Images as an affine map moves them, two rows of three numbers; behind them is mid-grey."""
    matrix = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images - 0.5, grid, align_corners=False) + 0.5


def rotate(images: Tensor, amount: Tensor) -> Tensor:
    """Images turned by up to ROTATION."""
    sine, cosine, none = (amount * ROTATION).sin(), (amount * ROTATION).cos(), 0 * amount
    return warped(images, cosine, -sine, none, sine, cosine, none)


def shear_x(images: Tensor, amount: Tensor) -> Tensor:
    """Images whose rows slide by up to SHEAR of their distance from the middle."""
    none, one = 0 * amount, 0 * amount + 1
    return warped(images, one, amount * SHEAR, none, none, one, none)


def shear_y(images: Tensor, amount: Tensor) -> Tensor:
    """Images whose columns do."""
    none, one = 0 * amount, 0 * amount + 1
    return warped(images, one, none, none, amount * SHEAR, one, none)


def move_x(images: Tensor, amount: Tensor) -> Tensor:
    """Images moved along their rows by up to MOVE of their side."""
    none, one = 0 * amount, 0 * amount + 1
    return warped(images, one, none, 2 * MOVE * amount, none, one, none)


def move_y(images: Tensor, amount: Tensor) -> Tensor:
    """Images moved along their columns."""
    none, one = 0 * amount, 0 * amount + 1
    return warped(images, one, none, none, none, one, 2 * MOVE * amount)


Change = Callable[[Tensor, Tensor], Tensor]
CHANGES: tuple[Change, ...] = (
    lambda x, amount: x,
    autocontrast,
    lambda x, amount: blend(x, torch.zeros_like(x), amount),  # brightness
    lambda x, amount: blend(x, grey(x), amount),  # colour
    lambda x, amount: blend(x, grey(x).mean((1, 2, 3), True), amount),  # contrast
    lambda x, amount: blend(x, smooth(x), amount),  # sharpness
    posterize,
    solarize,
    rotate,
    shear_x,
    shear_y,
    move_x,
    move_y,
)


def after(images: Tensor, which: Tensor, amount: Tensor) -> Tensor:
    """Images from 0 to 1, each after the change that it drew, by an amount from -1 to 1.

    On a CPU a change is worked out for those alone that drew it.
    """
    found = images
    for i, change in enumerate(CHANGES[1:], 1):
        mine = which == i
        if images.device.type == "cpu":
            (places,) = mine.nonzero(as_tuple=True)
            if len(places):
                found = found.index_copy(0, places, change(images[places], amount[places]))
        else:
            found = torch.where(mine.view(-1, 1, 1, 1), change(images, amount), found)
    return found
