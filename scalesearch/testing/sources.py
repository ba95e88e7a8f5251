"""The contract of a data source: what is described is what is handed over, the same every time."""

import torch

from scalesearch.data import DataSet, Images, describe, load
from scalesearch.data.images import channel_statistics


def check_source(source: str) -> None:
    """Raise AssertionError where a data source breaks its contract.

    `source` is written as for `--data` and has at least 30 training images. Its images must be
    uint8 and square, as many and of the kind that `describe` says and the caller wants; the same at
    every call, and the same for validation and test however many are trained on. A path that
    leads nowhere must be a ValueError of one line.
    """
    info = describe(source)
    assert len(set(info.classes)) == len(info.classes) >= 2, f"classes, got {info.classes}"
    assert info.channels in (1, 3), f"one or three channels, got {info.channels}"
    more = load(source, train_examples=16, val_examples=4, side=12)
    fewer = load(source, train_examples=8, val_examples=4, side=12)
    again = load(source, train_examples=16, val_examples=4, side=12)
    assert (len(more.train), len(fewer.train)) == (16, 8), "as many training images as wanted"
    assert len(more.val) >= 4, "at least as many validation images as wanted"
    check_the_same(more, again)
    check_the_same(fewer, more, but_training=True)
    assert torch.equal(fewer.train.pixels, more.train.pixels[:8]), "fewer are the first of more"
    for images in splits(more):
        check_images(images, len(info.classes), (info.channels, 12, 12))
    native = load(source, train_examples=8, val_examples=4)
    check_images(native.train, len(info.classes), (info.channels, info.side, info.side))
    known = (info.name, info.classes, info.synthetic)
    assert (native.name, native.classes, native.synthetic) == known, "as it was described"
    assert (more.mean, more.std) == channel_statistics(more.train.pixels), "of the training images"
    check_refusal(source.partition(":")[0] + ":/no/such/place")


def splits(data: DataSet) -> list[Images]:
    """The splits that a data set has."""
    return [data.train, data.val] + ([data.test] if data.test else [])


def check_images(images: Images, classes: int, shape: tuple[int, int, int]) -> None:
    """Raise AssertionError where pixels or labels are not what training takes."""
    assert images.pixels.dtype == torch.uint8, f"uint8 pixels, got {images.pixels.dtype}"
    assert images.pixels.shape[1:] == shape, f"images of {shape}, got {images.pixels.shape}"
    assert images.labels.dtype == torch.int64, f"int64 labels, got {images.labels.dtype}"
    assert len(images.pixels) == len(images.labels), "a label for each image"
    assert images.labels.min() >= 0 and images.labels.max() < classes, "labels of the classes"


def check_the_same(one: DataSet, other: DataSet, but_training: bool = False) -> None:
    """Raise AssertionError where two splits of one name differ."""
    pairs = list(zip(splits(one), splits(other), strict=True))[but_training:]
    for a, b in pairs:
        assert torch.equal(a.pixels, b.pixels), "the same images at every call"
        assert torch.equal(a.labels, b.labels), "the same labels at every call"


def check_refusal(source: str) -> None:
    """Raise AssertionError where a source that cannot be is not refused in one line."""
    try:
        load(source, train_examples=8, val_examples=4)
    except ValueError as error:
        assert "\n" not in str(error), f"an error of one line, got {error}"
        return
    raise AssertionError(f"{source} must be a ValueError")
