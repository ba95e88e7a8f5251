"""Making a pack: every image is decoded once, by all cores; what is there already is kept."""

import json
import logging
import os
import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from scalesearch.data.catalogue import Catalogue, Sample, Splits, chosen, contents
from scalesearch.data.images import Wanted, histogram, statistics_of
from scalesearch.data.packer import OTHERWISE, Chunk, Packed
from scalesearch.data.packers import cores, packed_of, packers
from scalesearch.data.packs import (
    DOCUMENT,
    VERSION,
    Pack,
    Part,
    alone,
    chunk_images,
    chunk_sums,
    is_whole,
    pack_cache,
    read_pack,
)
from scalesearch.data.progress import counting
from scalesearch.files import plain, write_checked
from scalesearch.units import counted, duration, short

CHUNKS_SO_FAR = "chunks.jsonl"
CHANNELS = 3
# above this fraction of unreadable images something is wrong with the data, not with an image
MAX_UNREADABLE = 0.05
NAMED = 3
FEW = 1000  # images that this process packs itself: others would first have to start
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """One chunk that was packed: of which part, from which image on, and what came of it."""

    part: str
    start: int
    packed: Packed


def make_pack(catalogue: Catalogue, wanted: Wanted, side: int, cache: Path | None = None) -> Path:
    """The folder of a whole pack of the wanted images at `side` pixels, in `cache` or the user's.

    One that is there is checked; one that was begun is gone on with. Images that cannot be read are
    left out, and a note names them. Raises ValueError where they are more than MAX_UNREADABLE of
    all, where there is no room, and where files change meanwhile.
    """
    splits, notes = chosen(catalogue, wanted)
    found = contents(catalogue, splits)
    folder = pack_cache(cache) / pack_name(catalogue.source, side, found)
    with alone(folder):
        pack = read_pack(folder)
        if pack is not None:
            if is_whole(folder, pack):
                return folder
            log.warning("%s has changed since it was written, and is mended", folder)
        (folder / DOCUMENT).unlink(missing_ok=True)
        unreadable = pack_all(folder, splits, side)
        parts = {
            name: sealed(folder, name, samples, unreadable[name], side)
            for name, samples in splits.items()
        }
        total = sum(map(len, splits.values()))
        named = [why for part in unreadable.values() for why in part.values()]
        mean, std = statistics(folder / "train.pixels", side)
        pack = Pack(
            version=VERSION,
            source=catalogue.source,
            contents=found,
            side=side,
            channels=CHANNELS,
            classes=catalogue.classes,
            parts=parts,
            mean=mean,
            std=std,
            notes=(*notes, *note_unreadable(named, total)),
        )
        write_checked(folder / DOCUMENT, plain(pack))
        if read_pack(folder) is None:
            raise ValueError(f"{folder} must be writable, and {DOCUMENT} could not be written")
    return folder


def pack_name(source: str, side: int, contents: str) -> str:
    """The name of a pack's folder: of its source, for people, then of all that is in it."""
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source.rpartition(":")[2]).name).strip("-.")
    key = sha256(f"{VERSION} {side} {contents}".encode()).hexdigest()
    return f"{label[:40] or 'data'}-{side}px-{key[:12]}"


def pack_all(folder: Path, splits: Splits, side: int) -> dict[str, dict[int, str]]:
    """Pack every image that is not yet; by part and place, those that could not be read, and why.

    Raises ValueError as soon as those are too many.
    """
    image_bytes = CHANNELS * side * side
    total = sum(map(len, splits.values()))
    check_room(folder, total * image_bytes)
    for name, samples in splits.items():
        with (folder / f"{name}.pixels").open("ab") as file:
            file.truncate(len(samples) * image_bytes)
    chunk = chunk_images(side, CHANNELS)
    done = whole_chunks(folder, splits, chunk, image_bytes)
    asked = [
        (name, start, samples[start : start + chunk])
        for name, samples in splits.items()
        for start in range(0, len(samples), chunk)
    ]
    missing = [part for part in asked if part[:2] not in done]
    before, started = total - sum(len(samples) for *_, samples in missing), time.monotonic()
    unreadable: dict[str, dict[int, str]] = {name: {} for name in splits}

    def take(one: Done) -> None:
        unreadable[one.part] |= {one.start + i: why for i, why in one.packed.unreadable.items()}
        note_unreadable([why for part in unreadable.values() for why in part.values()], total)

    for one in done.values():
        take(one)
    with (
        (folder / CHUNKS_SO_FAR).open("a") as record,
        counting(f"packing {total} images at {side} px", total, before) as advance,
    ):
        for one, images in packed_chunks(folder, missing, side):
            record.write(json.dumps(asdict(one)) + "\n")
            record.flush()
            take(one)
            advance(images)
    if missing:
        seconds = time.monotonic() - started
        log.info(
            "packed %s at %d px in %s, %.0f a second: %sB in %s",
            counted(total - before, "image"),
            side,
            duration(seconds),
            (total - before) / max(seconds, 1e-3),
            short(total * image_bytes),
            folder,
        )
    return unreadable


def check_room(folder: Path, needed: int) -> None:
    """Raise ValueError where the disk has no room for what a pack still lacks."""
    there = sum(path.stat().st_blocks * 512 for path in folder.glob("*.pixels"))
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise ValueError(
            f"a pack must have {short(needed - there)}B of room, got {short(free)}B in {folder}: "
            f"{OTHERWISE}"
        )


def whole_chunks(
    folder: Path, splits: Splits, chunk: int, image_bytes: int
) -> dict[tuple[str, int], Done]:
    """The chunks that an earlier process packed, as far as they still are what it wrote."""
    try:
        lines = (folder / CHUNKS_SO_FAR).read_text().splitlines(keepends=True)
    except OSError:
        return {}
    recorded = {(one.part, one.start): one for one in map(done_of, lines) if one}
    whole = {}
    for name, samples in splits.items():
        if not any(part == name for part, _ in recorded):
            continue
        sums = chunk_sums(folder / f"{name}.pixels", len(samples), image_bytes, chunk)
        for i, found in enumerate(sums):
            one = recorded.get((name, i * chunk))
            if one and one.packed.crc == found:
                whole[name, i * chunk] = one
    return whole


def done_of(line: str) -> Done | None:
    """The chunk that a line records; None for the torn line that a killed process leaves."""
    try:
        found = json.loads(line) if line.endswith("\n") else None
        return found and Done(found["part"], found["start"], packed_of(found["packed"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def packed_chunks(
    folder: Path, missing: Sequence[tuple[str, int, Sequence[Sample]]], side: int
) -> Iterator[tuple[Done, int]]:
    """Pack those chunks, as soon as each is done with how many images it has.

    Raises ValueError where one cannot be written.
    """
    few = sum(len(samples) for *_, samples in missing) <= FEW
    processes = 0 if few else min(len(missing), cores())
    with packers(processes) as pack, ThreadPoolExecutor(processes or 1) as pool:
        asked = {}
        for name, start, samples in missing:
            chunk = Chunk(str(folder / f"{name}.pixels"), start, side, list(samples))
            asked[pool.submit(pack, chunk)] = (name, start, len(samples))
        try:
            for future in as_completed(asked):
                name, start, images = asked[future]
                packed = future.result()
                if packed.error:
                    raise ValueError(packed.error)
                yield Done(name, start, packed), images
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def sealed(
    folder: Path, name: str, samples: Sequence[Sample], unreadable: Mapping[int, str], side: int
) -> Part:
    """One part without the images that could not be read: the last ones take their places.

    Raises ValueError where none is left of a part that training needs.
    """
    left = len(samples) - len(unreadable)
    if not left and name != "test":
        raise ValueError(
            f"{name} must have at least 1 readable image, got {next(iter(unreadable.values()))}"
        )
    path, image_bytes = folder / f"{name}.pixels", CHANNELS * side * side
    labels = np.array([sample.label for sample in samples], np.int64)
    holes = [place for place in sorted(unreadable) if place < left]
    last = [place for place in range(left, len(samples)) if place not in unreadable]
    if holes:
        rows = np.memmap(path, np.uint8, "r+", shape=(len(samples), image_bytes))
        rows[holes], labels[holes] = rows[last], labels[last]
        rows.flush()
        del rows
    os.truncate(path, left * image_bytes)
    content = labels[:left].tobytes()
    (folder / f"{name}.labels").write_bytes(content)
    sums = chunk_sums(path, left, image_bytes, chunk_images(side, CHANNELS))
    return Part(left, tuple(sums), zlib.crc32(content))


def statistics(path: Path, side: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of a file of pixels, on all cores."""
    pixels = np.memmap(path, np.uint8, "c").reshape(-1, CHANNELS, side, side)
    chunks = torch.from_numpy(pixels).split(chunk_images(side, CHANNELS))
    with ThreadPoolExecutor() as pool:
        return statistics_of(torch.stack([*pool.map(histogram, chunks)]).sum(0))


def note_unreadable(unreadable: Sequence[str], total: int) -> tuple[str, ...]:
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
