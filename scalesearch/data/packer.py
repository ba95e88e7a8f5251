"""One process of packing: chunks come in as lines of JSON, and what became of them goes out.

It ends with its input, so that none is left of a packing that was killed.
"""

import json
import os
import sys
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scalesearch.data.catalogue import Sample
from scalesearch.data.decode import decode
from scalesearch.data.reading import content_of, reason

OTHERWISE = "make room, or name another cache"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Images to write into a file from that place on, at so many pixels a side."""

    path: str
    start: int
    side: int
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Packed:
    """The CRC-32 of a chunk's pixels; by their place in it, images that could not be read, and why.

    `error` says why the whole chunk could not be written.
    """

    crc: int
    unreadable: dict[int, str]
    error: str = ""


def pack_chunk(chunk: Chunk) -> Packed:
    """Decode the images of a chunk and write them; those that cannot be read are left black."""
    pixels = np.zeros((len(chunk.samples), 3, chunk.side, chunk.side), np.uint8)
    unreadable = {}
    for i, sample in enumerate(chunk.samples):
        if other := changed(sample):
            return Packed(0, {}, other)
        try:
            pixels[i] = decode(content_of(sample), chunk.side).transpose(2, 0, 1)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything on a broken file
            unreadable[i] = f"{sample.path} ({reason(error)})"
    content = pixels.tobytes()
    try:
        write_at(chunk.path, content, chunk.start * pixels[0].nbytes)
    except OSError as error:
        return Packed(0, {}, f"{chunk.path} must be writable, got: {error.strerror}; {OTHERWISE}")
    return Packed(zlib.crc32(content), unreadable)


def changed(sample: Sample) -> str:
    """How a file is another than when it was listed; "" where it is not."""
    try:
        found = os.stat(sample.path)
    except OSError:
        return "" if sample.changed == 0 else f"{sample.path} must stay, and is gone"
    if sample.changed and found.st_mtime_ns != sample.changed:
        return f"{sample.path} must not change while it is packed: type the command again"
    return ""


def write_at(path: str, content: bytes, start: int) -> None:
    """Write bytes into a file that is there, from a place on."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        while content:
            written = os.pwrite(descriptor, content, start)
            content, start = content[written:], start + written
    finally:
        os.close(descriptor)


def chunk_of(line: str) -> Chunk:
    """The chunk that a line of JSON asks for."""
    asked: dict[str, Any] = json.loads(line)
    samples = [Sample(*sample) for sample in asked.pop("samples")]
    return Chunk(**asked, samples=samples)


def main() -> None:
    """Pack what each line of stdin asks for; answer with a line each."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(asdict(pack_chunk(chunk_of(line)))) + "\n")
        sys.stdout.flush()
