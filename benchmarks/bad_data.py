"""What is said of bad image data, a line each: the section of results/benchmarks/data.md."""

import io
import logging
import os
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from scalesearch.data import huggingface, load, pack
from scalesearch.data.catalogue import Sample
from scalesearch.data.packer import Chunk, pack_chunk
from scalesearch.data.packs import DOCUMENT
from scalesearch.files import read_checked, write_checked


def write_set(root: Path, images: int = 50) -> str:
    """PNGs of noise in two classes."""
    rng = np.random.default_rng(0)
    for name in "ab":
        (root / name).mkdir(parents=True)
        for i in range(images):
            Image.fromarray(rng.integers(0, 256, (10, 10, 3), np.uint8)).save(
                root / name / f"{i}.png"
            )
    return f"imagefolder:{root}"


def said(source: str, cache: Path) -> str:
    """The notes of a pack, what is logged of it, or why there is none."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logger = logging.getLogger("scalesearch")
    logger.addHandler(handler)
    try:
        logged = load(f"pack:{pack(source, val_examples=5, cache=cache)}").notes[1:]
        return "; ".join([*logged, *lines.getvalue().splitlines()]) or "packed"
    except ValueError as error:
        return str(error)
    finally:
        logger.removeHandler(handler)


def full_disk(root: Path) -> str:
    """A disk that is full when a chunk is written."""
    write_set(root / "set", 1)
    path = root / "set" / "a" / "0.png"
    there = path.stat()
    sample = Sample(str(path), 0, there.st_size, there.st_mtime_ns, 0)
    return pack_chunk(Chunk("/dev/full", 0, 8, [sample])).error or "written"


def unreadable(root: Path, count: int) -> str:
    """So many of 100 images broken."""
    source = write_set(root / "set")
    for i in range(count):
        (root / "set" / "a" / f"{i}.png").write_bytes(b"none")
    return said(source, root / "cache")


def another_version(root: Path) -> str:
    """A pack of another version is never taken for one of this."""
    source = write_set(root / "set")
    folder = pack(source, val_examples=5, cache=root / "cache")
    write_checked(folder / DOCUMENT, {**read_checked(folder / DOCUMENT), "version": 0})
    try:
        load(f"pack:{folder}")
    except ValueError as error:
        return str(error)
    return "taken"


def changed_byte(root: Path) -> str:
    """One byte of a pack is another."""
    source = write_set(root / "set")
    folder = pack(source, val_examples=5, cache=root / "cache")
    with (folder / "train.pixels").open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    return said(source, root / "cache")


def cut_shard(root: Path) -> str:
    """A tar file without its end."""
    folder = root / "shards"
    folder.mkdir()
    with tarfile.open(folder / "train-0.tar", "w") as archive:
        for i in range(40):
            for name, content in ((f"{i}.png", os.urandom(2000)), (f"{i}.cls", b"%d" % (i % 2))):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    shard = folder / "train-0.tar"
    shard.write_bytes(shard.read_bytes()[:51_200])
    return said(f"tar:{folder}", root / "cache")


def no_extra(root: Path) -> str:
    """A data set of Hugging Face's, whose library is not installed."""
    huggingface.opened.cache_clear()
    with patch.dict(sys.modules, {"datasets": None}):
        return said("hf:beans", root / "cache")


def huge(root: Path) -> str:
    """An image of 30,000 x 30,000 pixels in a file of some kilobytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    source, side = write_set(root / "set"), 30_000
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side), 9)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    (root / "set" / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return said(source, root / "cache")


CASES: dict[str, Callable[[Path], str]] = {
    "no space left while packing": full_disk,
    "a pack of another version": another_version,
    "a pack with one byte changed": changed_byte,
    "a shard cut short": cut_shard,
    "`hf:` without its extra": no_extra,
    "5 % unreadable": lambda root: unreadable(root, 5),
    "6 % unreadable": lambda root: unreadable(root, 6),
    "a PNG of 30,000 x 30,000": huge,
}


def table(root: Path) -> str:
    """A row for each case, with DIR in place of where it was made."""
    rows = []
    for i, (what, case) in enumerate(CASES.items()):
        folder = root / str(i)
        folder.mkdir(parents=True)
        rows.append(f"| {what} | {case(folder).replace(str(folder), 'DIR')} |")
    return "\n".join(["| what | what is said |", "|---|---|", *rows])
