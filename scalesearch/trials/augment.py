"""Augmentation in batches, on the device of the images, by numbers that the seed alone has drawn.

All that is random of an image stands in one row of numbers: whether it is mirrored, then UNIFORM
numbers between 0 and 1, then two shares of beta distributions. Its geometry is in shares of the
image, so that networks of other sides are shown the same.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scalesearch.spaces.augmentation import Augmentation
from scalesearch.trials.randaugment import CHANGES, after

UNIFORM = 18
# what each of the uniform numbers is for
SHIFT, CROP, ERASE, MIX, CHANGE = 0, 2, 6, 11, 14
RATIO = math.log(4 / 3)  # of a crop's sides, either way
ERASED, ERASED_RATIO = (0.02, 0.33), math.log(1 / 0.3)


def draws(augment: Augmentation, flipped: Tensor, seed: int, epoch: int) -> Tensor:
    """The row of numbers of every image in an epoch, float32 (n, 1 + UNIFORM + 2)."""
    rng = np.random.default_rng([seed, epoch])
    uniform = rng.random((len(flipped), UNIFORM), np.float32)
    shares = np.ones((len(flipped), 2), np.float32)
    for column, parameter in enumerate((augment.mixup, augment.cutmix)):
        if parameter:
            shares[:, column] = rng.beta(parameter, parameter, len(flipped))
    return torch.cat([flipped.float()[:, None], *map(torch.from_numpy, (uniform, shares))], 1)


def reshaped(images: Tensor, augment: Augmentation, drawn: Tensor, side: int) -> Tensor:
    """Images mirrored, moved or cropped, and resized to `side` pixels with antialiasing.

    What lies outside of an image is 0.
    """
    u, own = drawn[:, 1:], images.shape[-1]
    height = width = torch.ones_like(u[:, 0])
    top = left = torch.zeros_like(height)
    if augment.crops:
        area = augment.crop + (1 - augment.crop) * u[:, CROP]
        ratio = torch.exp((2 * u[:, CROP + 1] - 1) * RATIO)
        width = (area * ratio).sqrt().clamp(max=1)
        height = (area / ratio).sqrt().clamp(max=1)
        top, left = (1 - height) * u[:, CROP + 2], (1 - width) * u[:, CROP + 3]
    if augment.shift:  # by whole pixels, so that nothing is blurred
        moved = (2 * u[:, SHIFT : SHIFT + 2] - 1) * augment.shift * side
        top, left = top + moved[:, 0].round() / side, left + moved[:, 1].round() / side
    rows = weights(top, height, own, side)
    columns = weights(left, width, own, side)
    columns = torch.where(drawn[:, 0, None, None] > 0.5, columns.flip(1), columns)
    found: Tensor = rows[:, None] @ images @ columns[:, None].transpose(-1, -2)
    return found


def weights(start: Tensor, share: Tensor, own: int, side: int) -> Tensor:
    """How much of each of `own` pixels is in each of `side`, (n, side, own): a triangle, as wide as
    what it stands for; `start` and `share` are of the image's side.
    """
    step = share * own / side  # pixels of the image to one of the result
    places = torch.arange(side, device=start.device, dtype=start.dtype) + 0.5
    centres = (start * own)[:, None] + places * step[:, None] - 0.5
    pixels = torch.arange(own, device=start.device, dtype=start.dtype)
    apart = (pixels - centres[:, :, None]).abs() / step.clamp(min=1)[:, None, None]
    triangle = (1 - apart).clamp(min=0)
    return triangle / triangle.sum(-1, keepdim=True).clamp(min=1e-3)


def erased(images: Tensor, augment: Augmentation, drawn: Tensor) -> Tensor:
    """Normalised images, of some of which a box is 0, which is grey."""
    if not augment.erase:
        return images
    u = drawn[:, 1 + ERASE :]
    area = ERASED[0] + (ERASED[1] - ERASED[0]) * u[:, 1]
    ratio = torch.exp((2 * u[:, 2] - 1) * ERASED_RATIO)
    height, width = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    inside = box((1 - height) * u[:, 3], (1 - width) * u[:, 4], height, width, images.shape[-1])
    return torch.where(inside & (u[:, 0, None, None, None] < augment.erase), 0.0, images)


def box(top: Tensor, left: Tensor, height: Tensor, width: Tensor, side: int) -> Tensor:
    """Which pixels' centres lie in a box of each image, bool (n, 1, side, side)."""
    places = (torch.arange(side, device=top.device) + 0.5) / side

    def along(start: Tensor, size: Tensor) -> Tensor:
        return (places >= start[:, None]) & (places < (start + size)[:, None])

    return (along(top, height)[:, :, None] & along(left, width)[:, None, :])[:, None]


def mixes(augment: Augmentation) -> bool:
    """Whether images are mixed, and with them their labels."""
    return augment.mixup > 0 or augment.cutmix > 0


def mixed_with_last(
    images: Tensor, labels: Tensor, classes: int, augment: Augmentation, drawn: Tensor
) -> tuple[Tensor, Tensor]:
    """Each image mixed with its counterpart from the batch's end; the share of every class."""
    u, (blended, cut) = drawn[:, 1 + MIX :], drawn[:, -2:].unbind(1)
    blended, size = blended.view(-1, 1, 1, 1), (1 - cut).sqrt()
    top, left = (1 - size) * u[:, 1], (1 - size) * u[:, 2]
    outside = 1 - box(top, left, size, size, images.shape[-1]).float()
    own = outside if augment.cutmix else blended.expand_as(outside)
    if augment.cutmix and augment.mixup:
        own = torch.where(u[:, 0].view(-1, 1, 1, 1) < 0.5, blended, outside)
    share, one_hot = own.mean((1, 2, 3))[:, None], F.one_hot(labels, classes).float()
    return (
        images * own + images.flip(0) * (1 - own),
        one_hot * share + one_hot.flip(0) * (1 - share),
    )


def changed(images: Tensor, augment: Augmentation, drawn: Tensor) -> Tensor:
    """Images of values from 0 to 1, each after two changes of colour or shape."""
    if not augment.randaugment:
        return images
    for i in range(2):
        which, sign = drawn[:, 1 + CHANGE + 2 * i : 3 + CHANGE + 2 * i].unbind(1)
        change = (which * len(CHANGES)).long().clamp(max=len(CHANGES) - 1)
        amount = augment.randaugment / 30 * torch.where(sign < 0.5, -1.0, 1.0)
        images = after(images, change, amount)
    return images
