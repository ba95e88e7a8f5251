"""A user's own arrays in one .npz file: x_train and y_train, perhaps x_val, y_val, x_test, y_test.

MedMNIST's names, train_images and train_labels and so on, are taken too. Nothing is unpickled.
"""

import math
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

from scalesearch.data.images import DataInfo, Images, Parts, Wanted, held_out_of, split, trained_on
from scalesearch.files import check_regular

CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class Header:
    """What an array's header says, before the array is read."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A split's two arrays: their names, and the images' channels, side in pixels and layout."""

    images: str
    labels: str
    channels: int
    side: int
    channels_last: bool


def describe(argument: str) -> DataInfo:
    """Classes, named by their numbers; channels and side. Reads headers and training labels.

    `argument` is the path of the .npz file. Raises ValueError where its arrays are not in order.
    """
    path = Path(argument).expanduser()
    train = _pairs(path)["train"]
    labels = _train_labels(path, train)
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    return DataInfo(f"npz:{argument}", classes, train.channels, train.side)


def read(argument: str, wanted: Wanted) -> Parts:
    """The file's images; where it has no x_val, some of x_train are held out.

    Raises ValueError where its arrays are not in order.
    """
    path = Path(argument).expanduser()
    pairs = _pairs(path)
    classes = int(_train_labels(path, pairs["train"]).max()) + 1
    images = {name: _read_split(path, pair, classes) for name, pair in pairs.items()}
    pool, own_val, test = images["train"], images.get("val"), images.get("test")
    if own_val is not None:
        train, _ = split(len(pool), trained_on(len(pool), wanted), 0)
        return Parts(pool.at(train), own_val, test)
    val_examples, notes = held_out_of(len(pool), wanted)
    train_examples = trained_on(len(pool) - val_examples, wanted)
    train, val = split(len(pool), train_examples, val_examples)
    return Parts(pool.at(train), pool.at(val), test, notes)


@contextmanager
def _refusing_broken(path: Path) -> Iterator[None]:
    """Raises ValueError, which names the file, for whatever a broken zip archive raises inside."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path} must be a whole .npz file, got: {error}") from error


def _headers(path: Path) -> dict[str, Header]:
    """The header of every array in the file, by name. Raises ValueError for a broken file."""
    check_regular(path)
    headers = {}
    with _refusing_broken(path), zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            name = entry.removesuffix(".npy")
            with archive.open(entry) as member:
                version = npy.read_magic(member)
                read = npy.read_array_header_1_0 if version[0] == 1 else npy.read_array_header_2_0
                shape, _, dtype = read(member)
                there = archive.getinfo(entry).file_size - member.tell()
            if not dtype.hasobject and math.prod(shape) * dtype.itemsize != there:
                raise ValueError(
                    f"{path} must be a whole .npz file, got {there} bytes of {name}, {dtype} "
                    f"{shape}"
                )
            headers[name] = Header(name, shape, dtype)
    return headers


def _pairs(path: Path) -> dict[str, Pair]:
    """The file's splits by name: train, perhaps val and test.

    Raises ValueError where an array's header is not what its name wants, or there is no train.
    """
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
    """One split, of the headers of its images and labels.

    Raises ValueError unless the images are uint8 and square, with a whole number each as label.
    """
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
    """One array of the file, of whatever shape and type. Raises ValueError for a broken file."""
    with _refusing_broken(path), np.load(path, allow_pickle=False) as arrays:
        array: NDArray[Any] = arrays[name]
        return array


def _train_labels(path: Path, pair: Pair) -> NDArray[Any]:
    """The training labels, (n,).

    Raises ValueError unless every number from 0 to the largest occurs, and there are two at least.
    """
    labels = _array(path, pair.labels).reshape(-1)
    found = np.unique(labels)
    if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
        raise ValueError(
            f"{pair.labels} must be 0, 1, ... with at least 2 classes and none left out, "
            f"got {len(found)} different from {found[0]} to {found[-1]}"
        )
    return labels


def _read_split(path: Path, pair: Pair, classes: int) -> Images:
    """The images of one split. Raises ValueError for a label that is not below `classes`."""
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
