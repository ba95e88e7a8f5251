"""Images as uint8 tensors: the values that travel, splitting, resizing, channel statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

# the split is part of the data set: the same for every study, whatever the study's own seeds
SPLIT_SEED = 20190528
# of a user's own training images, at most this fraction is taken out for validation
VAL_FRACTION = 0.2
RESIZE_CHUNK = 256
STATISTICS_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images of one split: pixels, uint8 (n, channels, side, side), and labels, int64 (n,).

    With `shown` they are streamed: they stay where they lie, and each batch of them is resized to
    those sides, one after the other, when it is taken.
    """

    pixels: Tensor
    labels: Tensor
    shown: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def side(self) -> int:
        """Pixels of a side, as they are given to a network."""
        return self.shown[-1] if self.shown else self.pixels.shape[-1]

    def at(self, indices: Tensor) -> "Images":
        """The images at `indices`, int64 (m,), in that order."""
        return Images(self.pixels[indices], self.labels[indices])

    def to(self, device: torch.device | str) -> "Images":
        """The same images on `device`."""
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """A data set in memory, its splits all of one side; `test` is None where there is none.

    `mean` and `std` are of the training pixels, for each channel, as fractions of 255. `notes` say
    what a report must not hide: images left out, a split that was cut smaller.
    """

    name: str
    train: Images
    val: Images
    test: Images | None
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What is known of a data set before it is loaded; `side` is its images' own, in pixels."""

    name: str
    classes: tuple[str, ...]
    channels: int
    side: int
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source of image files would give: how many images each part has; notes as above."""

    info: DataInfo
    images: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How many images to load, and at what side in pixels; None is all, and their own side.

    Raises ValueError for a number below 1.
    """

    train_examples: int | None = None
    val_examples: int = 5000
    side: int | None = None

    def __post_init__(self) -> None:
        for field in ("train_examples", "val_examples", "side"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise ValueError(f"{field} must be at least 1, got {value}")


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a source has read: splits at any side, no `test` where it has none, notes as above."""

    train: Images
    val: Images
    test: Images | None
    notes: tuple[str, ...] = ()


def resized(images: Images, side: int) -> Images:
    """The images at `side` pixels, bilinear with antialiasing, rounded to uint8.

    `images` itself where that is its side already; streamed ones are resized when they are taken.
    """
    if images.side == side:
        return images
    if images.shown:
        return replace(images, shown=(*images.shown, side))
    if not len(images):  # as a process's share of a small batch is
        return Images(images.pixels.new_empty(0, images.pixels.shape[1], side, side), images.labels)
    chunks = []
    for start in range(0, len(images), RESIZE_CHUNK):
        chunk = images.pixels[start : start + RESIZE_CHUNK].float()
        chunk = interpolate(chunk, size=(side, side), mode="bilinear", antialias=True)
        chunks.append(chunk.round().to(torch.uint8))
    return Images(torch.cat(chunks), images.labels)


def channel_statistics(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, as fractions of 255."""
    counts = torch.zeros(pixels.shape[1], 256, dtype=torch.int64)
    for chunk in pixels.split(STATISTICS_CHUNK):
        counts += histogram(chunk)
    return statistics_of(counts)


def histogram(pixels: Tensor) -> Tensor:
    """How often each channel has each byte, int64 (channels, 256)."""
    channels = range(pixels.shape[1])
    return torch.stack([torch.bincount(pixels[:, c].flatten(), minlength=256) for c in channels])


def statistics_of(histogram: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, as fractions of 255, exact.

    A constant channel is said to deviate by 1, so that normalising it gives 0.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for counts in histogram.double():
        share = counts / counts.sum()
        mean = (share * levels).sum()
        means.append(mean.item())
        varies = int((counts > 0).sum()) > 1
        stds.append((share * (levels - mean) ** 2).sum().sqrt().item() if varies else 1.0)
    return tuple(means), tuple(stds)


def split(total: int, train_examples: int | None, val_examples: int) -> tuple[Tensor, Tensor]:
    """Indices (training, validation) into `total` images, from one fixed permutation.

    The first `val_examples` are validation, the next `train_examples` (None: the rest) training.
    Raises ValueError where there are not that many.
    """
    left = total - val_examples
    if left < (train_examples or 1):
        asked = f"{val_examples} for validation and {train_examples or 'at least 1'} for training"
        raise ValueError(f"no more images can be had than there are, {total}, got {asked}")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(SPLIT_SEED))
    end = total if train_examples is None else val_examples + train_examples
    return order[val_examples:end], order[:val_examples]


def held_out_of(total: int, wanted: Wanted) -> tuple[int, tuple[str, ...]]:
    """How many of a user's `total` training images are held out to validate, and a note of it.

    As many as are wanted, but at most VAL_FRACTION of all.
    """
    val_examples = min(wanted.val_examples, max(1, int(total * VAL_FRACTION)))
    note = f"validation split: {val_examples} of the {total} training images"
    if val_examples < wanted.val_examples:
        note += f" ({wanted.val_examples} asked, at most {VAL_FRACTION:.0%} taken)"
    return val_examples, (note,)


def trained_on(there: int, wanted: Wanted) -> int | None:
    """How many of a user's `there` training images to take: as many as wanted; None is all."""
    examples = wanted.train_examples
    return None if examples is None else min(examples, max(there, 1))
