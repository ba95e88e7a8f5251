"""A user's own arrays in one .npz file: x_train and y_train, perhaps x_val, y_val, x_test, y_test.

MedMNIST's names, train_images and train_labels and so on, are taken too. Nothing is unpickled.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from scalesearch.data.images import DataInfo, Images, Parts, Wanted, at_most, split, val_share

CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class Header:
    """What an array's header says, before the array is read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of a split's two arrays; channels, side, and whether the channels come last."""

    images: str
    labels: str
    channels: int
    side: int
    channels_last: bool


def describe(argument: str) -> DataInfo:
    """Classes (numbered), channels and side; of the images only the headers are read."""
    path = Path(argument).expanduser()
    train = _pairs(path)["train"]
    labels = _train_labels(path, train)
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return DataInfo(f"npz:{argument}", classes, train.channels, train.side)


def read(argument: str, wanted: Wanted) -> Parts:
    """The arrays as images; where there is no x_val, validation comes out of x_train."""
    path = Path(argument).expanduser()
    pairs = _pairs(path)
    classes = int(_train_labels(path, pairs["train"]).max()) + 1
    images = {name: _read_split(path, pair, classes) for name, pair in pairs.items()}
    pool, own_val, test = images["train"], images.get("val"), images.get("test")
    if own_val is not None:
        train, _ = split(len(pool), at_most(wanted.train_examples, len(pool)), 0)
        return Parts(pool.at(train), own_val, test)
    val_examples, notes = val_share(len(pool), wanted)
    train_examples = at_most(wanted.train_examples, len(pool) - val_examples)
    train, val = split(len(pool), train_examples, val_examples)
    return Parts(pool.at(train), pool.at(val), test, notes)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Makes what a broken file raises a ValueError that names it."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path} must be a whole .npz file, got: {error}") from error


def _headers(path: Path) -> dict[str, Header]:
    """The header of every array in the file, by name."""
    headers = {}
    with _whole(path), zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            name = entry.removesuffix(".npy")
            with archive.open(entry) as member:
                version = npy.read_magic(member)
                read = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
                shape, _, dtype = read(member)
            headers[name] = Header(name, shape, dtype)
    return headers


def _pairs(path: Path) -> dict[str, Pair]:
    """The splits that the file has, checked by their headers alone."""
    headers = _headers(path)
    pairs = {}
    for part in ("train", "val", "test"):
        for x, y in ((f"x_{part}", f"y_{part}"), (f"{part}_images", f"{part}_labels")):
            if x in headers and y in headers:
                pairs[part] = _pair(headers[x], headers[y])
            elif x in headers or y in headers:
                raise ValueError(f"{path} must have both {x} and {y}, got only one")
    if "train" not in pairs:
        raise ValueError(f"{path} must have x_train and y_train, got {', '.join(headers) or 0}")
    train = pairs["train"]
    for pair in pairs.values():
        if (pair.channels, pair.side) != (train.channels, train.side):
            raise ValueError(
                f"{pair.images} must be like {train.images}, {train.channels} channels of "
                f"{train.side} pixels, got {pair.channels} of {pair.side}"
            )
    return pairs


def _pair(x: Header, y: Header) -> Pair:
    """One split's arrays, uint8 and square, with as many labels as images."""
    if x.dtype != np.uint8:
        raise ValueError(f"{x.name} must be uint8, 0 to 255, got {x.dtype}")
    if y.dtype.kind not in "iu":
        raise ValueError(f"{y.name} must be integers, got {y.dtype}")
    if len(y.shape) not in (1, 2) or y.shape[1:] not in ((), (1,)):
        raise ValueError(f"{y.name} must have one label an image, got shape {y.shape}")
    channels_last = len(x.shape) == 4 and x.shape[3] in CHANNELS
    if len(x.shape) == 3:
        channels, height, width = 1, *x.shape[1:]
    elif len(x.shape) == 4:
        channels, height, width = x.shape[1:]
        if channels_last:
            height, width, channels = x.shape[1:]
    else:
        raise ValueError(f"{x.name} must be NxHxW, NxHxWxC or NxCxHxW, got shape {x.shape}")
    if channels not in CHANNELS or height != width or not height:
        raise ValueError(f"{x.name} must be square, of 1 or 3 channels, got shape {x.shape}")
    if not x.shape[0] or x.shape[0] != y.shape[0]:
        raise ValueError(
            f"{x.name} and {y.name} must be of one length, not 0, got {x.shape[0]} and {y.shape[0]}"
        )
    return Pair(x.name, y.name, channels, height, channels_last)


def _array(path: Path, name: str) -> NDArray[Any]:
    with _whole(path), np.load(path, allow_pickle=False) as arrays:
        array: NDArray[Any] = arrays[name]
        return array


def _train_labels(path: Path, pair: Pair) -> NDArray[Any]:
    """The training labels, (n,), which must use every number from 0 up, and at least two."""
    labels = _array(path, pair.labels).reshape(-1)
    found = np.unique(labels)
    if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
        raise ValueError(
            f"{pair.labels} must be 0, 1, ... with at least 2 classes and none left out, "
            f"got {len(found)} different from {found[0]} to {found[-1]}"
        )
    return labels


def _read_split(path: Path, pair: Pair, classes: int) -> Images:
    """The images of one split, channels first, with labels below `classes`."""
    pixels, labels = _array(path, pair.images), _array(path, pair.labels).reshape(-1)
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{pair.labels} must be 0 to {classes - 1}, as in training, "
            f"got {labels.min()} to {labels.max()}"
        )
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pair.channels_last:
        pixels = pixels.transpose(0, 3, 1, 2)
    return Images(
        torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels.astype(np.int64))
    )
