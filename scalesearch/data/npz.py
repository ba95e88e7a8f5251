"""Arrays in an .npz file: x_train, y_train and, where they exist, _val and _test."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scalesearch.data.images import Images, Source

# the keys that people use: Keras' and MedMNIST's
PAIRS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))


def read_npz(file: str) -> Source:
    """The data set in an .npz file. Raises ValueError, in one line, for a bad one."""
    path = Path(file)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} must be a readable .npz file: {error}") from None
    splits = {name: read_split(arrays, name, path) for name in ("train", "val", "test")}
    train = splits["train"]
    if train is None:
        raise ValueError(f"{path} must hold x_train and y_train, got {', '.join(arrays)}")
    count = int(train.labels.max()) + 1
    for name, images in splits.items():
        if images is not None and int(images.labels.max()) >= count:
            raise ValueError(f"{path}: {name} labels must be below {count}, as in training")
        if images is not None and images.pixels.shape[1] != train.pixels.shape[1]:
            raise ValueError(f"{path}: {name} images must have the channels of the training ones")
    if count < 2:
        raise ValueError(f"{path} must hold at least two classes, got {count}")
    classes = tuple(str(i) for i in range(count))
    return Source(path.stem, classes, train, splits["val"], splits["test"])


def read_split(arrays: dict[str, NDArray[Any]], name: str, path: Path) -> Images | None:
    """One split's images, or None where the file has none of that name."""
    for images_key, labels_key in PAIRS:
        x, y = arrays.get(images_key.format(name)), arrays.get(labels_key.format(name))
        if x is None and y is None:
            continue
        if x is None or y is None or len(x) != len(y.reshape(-1)) or not len(x):
            raise ValueError(f"{path}: {name} must have as many labels as images, and some")
        if not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
            raise ValueError(f"{path}: {name} labels must be whole numbers from 0 up")
        pixels = torch.from_numpy(channels_first(x, name, path).copy())
        return Images(pixels, torch.from_numpy(y.reshape(-1).astype(np.int64)))
    return None


def channels_first(x: NDArray[Any], name: str, path: Path) -> NDArray[np.uint8]:
    """Images as (n, channels, side, side). Raises ValueError for any other shape or type."""
    if x.dtype != np.uint8:
        raise ValueError(f"{path}: {name} images must be uint8, got {x.dtype}")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[-1] in (1, 3) and x.shape[1] not in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim != 4 or x.shape[2] != x.shape[3]:
        raise ValueError(f"{path}: {name} images must be squares of 1 or 3 channels, got {x.shape}")
    return x
