"""Images in tar files, named as webdataset names them: KEY.jpg beside KEY.cls in DIR/train-*.tar.

An image is read where it lies in its shard: nothing is unpacked.
"""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from scalesearch.data.catalogue import Catalogue, Sample
from scalesearch.data.folder import SUFFIXES
from scalesearch.files import check_regular

PARTS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
LABEL = ".cls"
MOST_LABEL = 1000  # bytes
END = 1024  # zero bytes, with which a tar file ends


def catalogue(argument: str) -> Catalogue:
    """The images of the shards in the folder `argument`, by the beginning of the shards' names.

    A class is a number or a name. Without a shard called train-* all are for training. Raises
    ValueError where there is no shard, where one is cut short or holds an image without a class.
    """
    root = Path(argument).expanduser()
    shards = sorted(root.glob("*.tar")) if root.is_dir() else []
    if not shards:
        raise ValueError(f"{root} must be a folder of tar files, got none")
    parts: dict[str, list[tuple[Sample, str]]] = {}
    for shard in shards:
        parts.setdefault(part_of(shard, shards), []).extend(members(shard))
    if "train" not in parts:
        raise ValueError(f"{root} must have shards train-*.tar, got {', '.join(sorted(parts))}")
    classes = classes_of({label for _, label in parts["train"]})
    numbers = {name: number for number, name in enumerate(classes)}
    for name, found in parts.items():
        if other := sorted({label for _, label in found} - set(classes)):
            raise ValueError(
                f"{root} must have the classes of train in {name}, got {', '.join(other[:5])} too"
            )
    splits: dict[str, list[Sample]] = {
        name: [sample._replace(label=numbers[label]) for sample, label in parts[name]]
        for name in ("train", "val", "test")
        if name in parts
    }
    return Catalogue(f"tar:{argument}", root, classes, splits)


def part_of(shard: Path, shards: list[Path]) -> str:
    """The part of the data set that a shard is of, by the beginning of its name."""

    def named(path: Path) -> str | None:
        return next((PARTS[name] for name in PARTS if path.name.lower().startswith(name)), None)

    if not any(named(path) == "train" for path in shards):
        return named(shard) or "train"
    found = named(shard)
    if found is None:
        raise ValueError(f"{shard} must be called {'-*.tar, '.join(PARTS)}-*.tar, got another name")
    return found


def members(shard: Path) -> Iterator[tuple[Sample, str]]:
    """Where each image of a shard lies, and its class. Raises ValueError for a shard cut short."""
    check_regular(shard)
    changed = shard.stat().st_mtime_ns
    images: dict[str, Sample] = {}
    labels: dict[str, str] = {}
    try:
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for entry in archive:
                if not entry.isreg():
                    continue
                key, suffix = os.path.splitext(entry.name)
                if suffix.lower() in SUFFIXES:
                    images[key] = Sample(str(shard), entry.offset_data, entry.size, changed, 0)
                elif suffix == LABEL:
                    labels[key] = label_in(archive, entry)
                archive.members.clear()  # type: ignore[attr-defined]
            file.seek(-min(END, shard.stat().st_size), os.SEEK_END)
            if file.read(END) != bytes(END):
                raise tarfile.ReadError("it does not end as one does")
    except tarfile.TarError as error:
        raise ValueError(f"{shard} must be a whole tar file, not compressed: {error}") from error
    for key, sample in sorted(images.items()):
        if key not in labels:
            raise ValueError(f"{shard} must have {key}{LABEL} beside its image, got none")
        yield sample, labels[key]


def label_in(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    """The class that a member names. Raises ValueError where it is no short text."""
    content = archive.extractfile(entry)
    assert content is not None
    try:
        return content.read(MOST_LABEL).decode().strip()
    except UnicodeError:
        raise ValueError(f"{archive.name!r}: {entry.name} must be text in UTF-8") from None


def classes_of(labels: set[str]) -> tuple[str, ...]:
    """The names of the classes in order: of numbers by size, else as sorted.

    Raises ValueError for fewer than two.
    """
    if len(labels) < 2:
        raise ValueError(f"there must be at least 2 classes, got {', '.join(sorted(labels)) or 0}")
    numbers = all(label.isascii() and label.isdigit() for label in labels)
    return tuple(sorted(labels, key=int if numbers else str))
