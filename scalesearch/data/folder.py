"""Folders of images, a folder for each class: DIR/train, and DIR/val and DIR/test if they exist.

Without DIR/train the class folders stand in DIR itself.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scalesearch.data.images import DataInfo, Images, Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
SIDE = 64
MAX_CORRUPT = 0.05
NAMED = 3


def describe_folder(directory: str) -> DataInfo:
    """Name and classes of an image folder, by its folders' names alone."""
    root = Path(directory)
    return DataInfo(root.resolve().name, class_names(training_folder(root)), channels=3)


def training_folder(root: Path) -> Path:
    """Where the class folders of the training images stand."""
    if not root.is_dir():
        raise ValueError(f"an image folder must be a directory, got {root}")
    return root / "train" if (root / "train").is_dir() else root


def class_names(folder: Path) -> tuple[str, ...]:
    """The class folders, sorted. Raises ValueError for none, for one, or for an empty one."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(classes) < 2:
        raise ValueError(
            f"an image folder must have at least two class folders, got {len(classes)} in {folder}"
        )
    for path in classes:
        if not image_files(path):
            raise ValueError(f"a class folder must hold images, got none in {path}")
    return tuple(path.name for path in classes)


def image_files(folder: Path) -> list[Path]:
    """The image files below a folder, sorted, known by their suffix."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def read_folder(directory: str, side: int = SIDE) -> Source:
    """The image folder as colour images of `side` pixels: centre square, resized once.

    Corrupt images are left out and named in `notes`; more than MAX_CORRUPT of them is an error.
    """
    root = Path(directory)
    train = training_folder(root)
    classes = class_names(train)
    splits: dict[str, Images] = {}
    corrupt: list[str] = []
    total = 0
    for name, folder in (("train", train), ("val", root / "val"), ("test", root / "test")):
        if name != "train" and (train == root or not folder.is_dir()):
            continue
        if class_names(folder) != classes:
            raise ValueError(f"{folder} must have the classes of {train}, {', '.join(classes)}")
        images, broken, seen = read_split(folder, classes, side)
        splits[name] = images
        corrupt += broken
        total += seen
    if len(corrupt) > MAX_CORRUPT * total:
        raise ValueError(
            f"at most {MAX_CORRUPT:.0%} of the images may be corrupt, got {len(corrupt)} of "
            f"{total} in {root}: {', '.join(corrupt[:NAMED])}"
        )
    source = Source(root.resolve().name, classes, splits["train"])
    note = f"{len(corrupt)} corrupt of {total} images left out: {', '.join(corrupt[:NAMED])}"
    return replace(
        source,
        val=splits.get("val"),
        test=splits.get("test"),
        notes=(note,) if corrupt else (),
    )


def read_split(folder: Path, classes: tuple[str, ...], side: int) -> tuple[Images, list[str], int]:
    """The images of one split, the corrupt files among them, and how many files there were."""
    pixels: list[Tensor] = []
    labels: list[int] = []
    corrupt: list[str] = []
    files = [(path, i) for i, name in enumerate(classes) for path in image_files(folder / name)]
    for path, label in files:
        try:
            pixels.append(decode(path, side))
            labels.append(label)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            corrupt.append(f"{path} ({error})")
    if not pixels:
        raise ValueError(f"{folder} must hold images that can be read, got {', '.join(corrupt)}")
    return Images(torch.stack(pixels), torch.tensor(labels)), corrupt, len(files)


def decode(path: Path, side: int) -> Tensor:
    """One image as uint8 (3, side, side): the centre square, resized with antialiasing."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    square = image.resize(
        (side, side), Image.Resampling.BILINEAR, (left, top, left + short, top + short)
    )
    return torch.from_numpy(np.asarray(square).transpose(2, 0, 1).copy())
