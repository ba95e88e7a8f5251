"""A pack: a source's images as bytes in files, which every process maps and none reads whole.

A folder of the cache holds it: PART.pixels, uint8 (n, channels, side, side), and PART.labels, int64
(n,), for each part of the data set; pack.json, which says what they are and is written last; and
chunks.jsonl, what has been packed so far. It is named by what is in it.
"""

import fcntl
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from scalesearch.data.images import DataSet, Images
from scalesearch.files import cache_root, read_checked

VERSION = 1
DOCUMENT = "pack.json"
CHUNK_BYTES = 2**23  # of pixels that are packed, and checked, at once


@dataclass(frozen=True, slots=True)
class Part:
    """One split: how many images, and the CRC-32 of each chunk of their pixels, and of labels."""

    images: int
    chunks: tuple[int, ...]
    labels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What a pack holds; `mean` and `std` are of train's pixels, as fractions of 255.

    `contents` is the SHA-256 of the files that it was made of: names, sizes, times, classes.
    """

    version: int
    source: str
    contents: str
    side: int
    channels: int
    classes: tuple[str, ...]
    parts: Mapping[str, Part]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    notes: tuple[str, ...]


_ADAPTER = TypeAdapter(Pack)


def pack_cache(cache: Path | None = None) -> Path:
    """Where packs are kept: `cache`, else the user's own."""
    return (cache or cache_root()) / "packs"


def read_pack(folder: Path) -> Pack | None:
    """What the pack in a folder holds; None where it is not whole, or of another version."""
    try:
        found = _ADAPTER.validate_python(read_checked(folder / DOCUMENT))
    except ValidationError:
        return None
    return found if found.version == VERSION else None


def chunk_images(side: int, channels: int = 3) -> int:
    """How many images are in a chunk."""
    return max(1, CHUNK_BYTES // (channels * side * side))


def chunk_sums(path: Path, images: int, image_bytes: int, chunk: int) -> list[int]:
    """The CRC-32 of each chunk of a file of so many images, on all cores; 0 of what is missing."""
    starts = range(0, images, chunk)

    def of(start: int) -> int:
        with path.open("rb") as file:
            file.seek(start * image_bytes)
            wanted = min(chunk, images - start) * image_bytes
            content = file.read(wanted)
        return zlib.crc32(content) if len(content) == wanted else 0

    with ThreadPoolExecutor() as pool:
        return list(pool.map(of, starts))


def is_whole(folder: Path, pack: Pack) -> bool:
    """Whether every byte of a pack is what was written."""
    image_bytes = pack.channels * pack.side**2
    chunk = chunk_images(pack.side, pack.channels)
    for name, part in pack.parts.items():
        pixels, labels = folder / f"{name}.pixels", folder / f"{name}.labels"
        if not (pixels.exists() and labels.exists()):
            return False
        if pixels.stat().st_size != part.images * image_bytes:
            return False
        if tuple(chunk_sums(pixels, part.images, image_bytes, chunk)) != part.chunks:
            return False
        if zlib.crc32(labels.read_bytes()) != part.labels:
            return False
    return True


def open_pack(argument: str) -> DataSet:
    """The data set of the pack in the folder `argument`, its pixels mapped: nothing is read yet.

    Raises ValueError where there is no pack, or one of another version.
    """
    folder = Path(argument)
    pack = read_pack(folder)
    if pack is None:
        found = read_checked(folder / DOCUMENT)
        got = f"one of version {found.get('version')}" if isinstance(found, dict) else "none"
        raise ValueError(f"{folder} must hold a whole pack of version {VERSION}, got {got}")
    images = {name: mapped(folder, name, pack) for name in pack.parts}
    return DataSet(
        name=pack.source,
        train=images["train"],
        val=images["val"],
        test=images.get("test"),
        classes=pack.classes,
        mean=pack.mean,
        std=pack.std,
        notes=pack.notes,
    )


def mapped(folder: Path, name: str, pack: Pack) -> Images:
    """The images of one part, on the memory of their file, which all processes share.

    A write would go to a copy: the file is never changed.
    """
    images = pack.parts[name].images
    shape = (images, pack.channels, pack.side, pack.side)
    pixels = np.memmap(folder / f"{name}.pixels", np.uint8, "c", shape=shape)
    labels = np.fromfile(folder / f"{name}.labels", np.int64)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that writes a pack; others wait until it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
