"""A user's own images: one folder a class, under DIR/train, DIR/val and DIR/test."""

import os
from collections.abc import Iterator
from pathlib import Path

from scalesearch.data.catalogue import Catalogue, Sample

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
Files = list[Sample]


def catalogue(argument: str) -> Catalogue:
    """The images under the folder `argument`, their classes named by its folders; none is opened.

    Raises ValueError where a folder is missing or empty, where there are fewer than two classes, or
    where a held-out split has others than train.
    """
    root = Path(argument).expanduser()
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
    splits = {"train": _files(train_root, classes, classes)}
    splits |= {path.name: _held_out(path, classes) for path in held_out_roots}
    return Catalogue(f"imagefolder:{argument}", root, classes, splits)


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders in `folder`, sorted; none where there is no such folder."""
    if not folder.is_dir():
        return ()
    names = (p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    return tuple(sorted(names))


def _held_out(folder: Path, classes: tuple[str, ...]) -> Files:
    """The files of a val or test folder, by train's classes; it may lack some.

    Raises ValueError where it has one that train has not.
    """
    if differ := sorted(set(_classes(folder)) - set(classes)):
        raise ValueError(
            f"{folder} must have the classes of train, got {', '.join(differ[:5])} besides"
        )
    return _files(folder, classes, _classes(folder))


def _files(folder: Path, classes: tuple[str, ...], there: tuple[str, ...]) -> Files:
    """Every image file of the classes that are there, sorted: no file system decides their order.

    Raises ValueError for a class without an image.
    """
    files: Files = []
    for label, name in enumerate(classes):
        if name not in there:
            continue
        found = sorted(_images(str(folder / name)))
        if not found:
            raise ValueError(
                f"{folder / name} must have at least 1 image ({' '.join(SUFFIXES)}), got none"
            )
        files += [Sample(path, 0, size, changed, label) for path, size, changed in found]
    return files


def _images(folder: str) -> Iterator[tuple[str, int, int]]:
    """The path, size and time of every image file in a folder and those inside it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _images(entry.path)
            elif entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith("."):
                try:
                    found = entry.stat()
                except OSError:  # a link that leads nowhere: an image that cannot be read
                    yield entry.path, 0, 0
                else:
                    yield entry.path, found.st_size, found.st_mtime_ns
