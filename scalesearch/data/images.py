"""Images and data sets as the trainer takes them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Images:
    """`pixels`: uint8 (n, channels, side, side); `labels`: int64 (n,)."""

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Source:
    """A data set as its files hold it: `val` only where they set one aside themselves."""

    name: str
    classes: tuple[str, ...]
    train: Images
    val: Images | None = None
    test: Images | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSet:
    """Three splits, and mean and deviation per channel of the training pixels, in 0..1.

    `notes` are for the report: images left out, for example.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    val: Images
    test: Images | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What a plan needs to know of a data set before it is decoded."""

    name: str
    classes: tuple[str, ...]
    channels: int
    synthetic: bool = False


def resized(images: Images, side: int) -> Images:
    """The images at `side` pixels: bilinear with antialiasing, rounded to uint8 again."""
    if images.pixels.shape[-1] == side:
        return images
    parts = []
    for chunk in images.pixels.split(4096):
        floats = F.interpolate(
            chunk.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False
        )
        parts.append(floats.round().clamp(0, 255).to(torch.uint8))
    return Images(torch.cat(parts), images.labels)


def split(source: Source, train_examples: int | None, val_examples: int) -> DataSet:
    """The data set of a source: a fixed validation split comes out of its training images.

    The split is the same for every seed and study. Raises ValueError for more than there is.
    """
    n = len(source.train.labels)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    if source.val is None:
        held, order = order[:val_examples], order[val_examples:]
        val = Images(source.train.pixels[held], source.train.labels[held])
    else:
        val = source.val
    if len(order) < max(1, train_examples or 1):
        raise ValueError(
            f"data {source.name}: {train_examples or 1} training and {val_examples} validation "
            f"images must fit in the {n} there are: ask for fewer"
        )
    chosen = order[:train_examples]
    train = Images(source.train.pixels[chosen], source.train.labels[chosen])
    mean, std = statistics(train.pixels)
    return DataSet(
        name=source.name,
        classes=source.classes,
        train=train,
        val=val,
        test=source.test,
        mean=mean,
        std=std,
        synthetic=source.synthetic,
        notes=source.notes,
    )


def statistics(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, in 0..1; a flat channel deviates by 1."""
    means, deviations = [], []
    for channel in range(pixels.shape[1]):
        counts = torch.bincount(pixels[:, channel].flatten().long(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = (counts * values).sum() / counts.sum()
        variance = (counts * (values - mean) ** 2).sum() / counts.sum()
        means.append(float(mean))
        deviations.append(float(variance.sqrt()) or 1.0)
    return tuple(means), tuple(deviations)
