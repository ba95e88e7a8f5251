"""A user's own images: one folder a class, under DIR/train, DIR/val and DIR/test."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scalesearch.data.images import DataInfo, Images, Parts, Wanted, held_out_of, split, trained_on
from scalesearch.files import check_regular

SIDE = 224
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Pillow opens by content, not by name; only these, for some other formats run programs
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# above this fraction of unreadable images something is wrong with the data, not with an image
MAX_UNREADABLE = 0.05
MOST_PIXELS = 2**26  # of one image, 8192 x 8192; of a JPEG file after it is decoded smaller
NAMED = 3

Files = list[tuple[Path, int]]


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files of a folder with their labels; None for a split that it does not have."""

    classes: tuple[str, ...]
    train: Files
    val: Files | None
    test: Files | None


def describe(argument: str) -> DataInfo:
    """The classes, named by their folders; RGB, 224 pixels. No image is opened.

    `argument` is the folder's path. Raises ValueError where its folders are not in order.
    """
    listing = list_folder(Path(argument).expanduser())
    return DataInfo(f"imagefolder:{argument}", listing.classes, channels=3, side=SIDE)


def read(argument: str, wanted: Wanted) -> Parts:
    """The images as RGB, at the side that is wanted; those that are not wanted stay undecoded.

    Those that cannot be read are left out, and a note names them. Raises ValueError where they are
    more than MAX_UNREADABLE of all, and where the folders are not in order.
    """
    listing = list_folder(Path(argument).expanduser())
    notes: tuple[str, ...] = ()
    val_examples = 0
    if listing.val is None:
        val_examples, notes = held_out_of(len(listing.train), wanted)
    train_examples = trained_on(len(listing.train) - val_examples, wanted)
    train, held_out = split(len(listing.train), train_examples, val_examples)
    files = {
        "train": [listing.train[i] for i in train.tolist()],
        "val": listing.val or [listing.train[i] for i in held_out.tolist()],
        "test": listing.test or [],
    }
    unreadable: list[str] = []
    images = {name: _decode(part, wanted.side or SIDE, unreadable) for name, part in files.items()}
    notes += _note_unreadable(unreadable, sum(map(len, files.values())))
    for name in ("train", "val"):
        if not len(images[name]):
            raise ValueError(f"{name} must have at least 1 readable image, got {unreadable[0]}")
    return Parts(images["train"], images["val"], images["test"] if listing.test else None, notes)


def list_folder(root: Path) -> Listing:
    """What `root` holds, without opening an image.

    Raises ValueError where a folder is missing or empty, where there are fewer than two classes, or
    where the splits have different classes.
    """
    if not root.is_dir():
        raise ValueError(f"{root} must be a folder of images, got no such folder")
    # a folder train without folders in it is a class, of trains
    train_root = root / "train" if _classes(root / "train") else root
    held_out_roots = [path for name in ("val", "test") if (path := root / name).is_dir()]
    if train_root == root:
        if split_roots := [path.name for path in held_out_roots if _classes(path)]:
            raise ValueError(
                f"{root} must have class folders in train, as it has {' and '.join(split_roots)}, "
                "got none"
            )
        held_out_roots = []
    classes = _classes(train_root)
    if len(classes) < 2:
        loose = sum(path.suffix.lower() in SUFFIXES for path in train_root.iterdir())
        hint = f" and {loose} loose images: move each into a folder of its class" if loose else ""
        raise ValueError(
            f"{train_root} must have one folder a class, at least 2, "
            f"got {', '.join(classes) or 0}{hint}"
        )
    held_out = {path.name: _held_out(path, classes) for path in held_out_roots}
    return Listing(classes, _files(train_root, classes), held_out.get("val"), held_out.get("test"))


def decode(path: Path, side: int) -> NDArray[np.uint8]:
    """The image at `path`, centre-cropped to a square, antialiased to (side, side, 3).

    Raises whatever Pillow does; ValueError for pixels of more than 8 bits, more pixels than
    MOST_PIXELS, and what is no regular file.
    """
    check_regular(path)
    with Image.open(path, formats=FORMATS) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"pixels must have 8 bits, got mode {image.mode}")
        image.draft(None, (side, side))  # a JPEG far too large is decoded at a fraction of its size
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"it must have at most {MOST_PIXELS} pixels, got {width} x {height}")
        square = min(width, height)
        left, top = (width - square) // 2, (height - square) // 2
        cropped = image.crop((left, top, left + square, top + square)).convert("RGB")
        return np.asarray(cropped.resize((side, side), Image.Resampling.BILINEAR), dtype=np.uint8)


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders in `folder`, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return ()
    names = (p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return tuple(sorted(names))


def _held_out(folder: Path, classes: tuple[str, ...]) -> Files:
    """The files of a val or test folder. Raises ValueError unless its classes are train's."""
    if differ := sorted(set(classes) ^ set(_classes(folder))):
        raise ValueError(
            f"{folder} must have the classes of train, got a difference in {', '.join(differ[:5])}"
        )
    return _files(folder, classes)


def _files(folder: Path, classes: tuple[str, ...]) -> Files:
    """Every image file with its label, sorted, so that no file system decides their order.

    Raises ValueError for a class without an image.
    """
    files: Files = []
    for label, name in enumerate(classes):
        found = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        found = [p for p in found if not p.name.startswith(".")]
        if not found:
            raise ValueError(
                f"{folder / name} must have at least 1 image ({' '.join(SUFFIXES)}), got none"
            )
        files += [(path, label) for path in found]
    return files


def _decode(files: Files, side: int, unreadable: list[str]) -> Images:
    """The images that can be read; those that cannot are added to `unreadable`, with the reason."""
    pixels = np.empty((len(files), side, side, 3), np.uint8)
    labels: list[int] = []
    with warnings.catch_warnings():  # of many pixels, of which there is a limit here
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for path, label in files:
            try:
                pixels[len(labels)] = decode(path, side)
            except MemoryError:
                raise
            except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
                said = " ".join(str(error).split()) or type(error).__name__
                unreadable.append(f"{path} ({said})")
            else:
                labels.append(label)
    channels_first = torch.from_numpy(pixels[: len(labels)]).permute(0, 3, 1, 2).contiguous()
    return Images(channels_first, torch.tensor(labels, dtype=torch.int64))


def _note_unreadable(unreadable: list[str], total: int) -> tuple[str, ...]:
    """A note that names images which were left out, none where none were.

    Raises ValueError where they are more than MAX_UNREADABLE of `total`.
    """
    if not unreadable:
        return ()
    named = ", ".join(unreadable[:NAMED]) + (", ..." if len(unreadable) > NAMED else "")
    if len(unreadable) > MAX_UNREADABLE * total:
        raise ValueError(
            f"at most {MAX_UNREADABLE:.0%} of the images may be unreadable, got {len(unreadable)} "
            f"of {total}: {named}; mend or remove them"
        )
    return (f"{len(unreadable)} of {total} images could not be read, left out: {named}",)
