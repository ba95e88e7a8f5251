"""Packs: made once, named by their content, gone on with after a kill, never used half-written."""

import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scalesearch.data import load, pack, packing, packs
from scalesearch.data.catalogue import Sample
from scalesearch.data.packer import Chunk, pack_chunk
from scalesearch.data.packing import CHUNKS_SO_FAR
from scalesearch.data.packs import DOCUMENT, is_whole, read_pack
from scalesearch.files import read_checked, write_checked
from tests.data.files import noise


def write_set(root: Path, images: int = 20, side: int = 10) -> str:
    """PNGs of noise in two classes, all different."""
    for label, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        pixels = noise(images, side, side, 3) // 2 + 100 * label
        for i in range(images):
            Image.fromarray(np.roll(pixels[i], i)).save(root / name / f"{i}.png")
    return f"imagefolder:{root}"


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of four images."""
    monkeypatch.setattr(packs, "CHUNK_BYTES", 4 * 3 * 10 * 10)


def test_a_pack_is_named_by_what_is_in_it(tmp_path: Path) -> None:
    source = write_set(tmp_path / "set")
    first = pack(source)
    assert pack(source) == first and first.name.startswith("set-10px-")
    assert pack(source, side=99) == first  # never above the images' own
    smaller, fewer = pack(source, side=5), pack(source, train_examples=7)
    (tmp_path / "set").rename(tmp_path / "moved")
    moved = f"imagefolder:{tmp_path}/moved"
    assert pack(moved).name.removeprefix("moved") == first.name.removeprefix("set")
    os.utime(tmp_path / "moved" / "a" / "0.png", (1, 1))
    touched = pack(moved)
    assert len({path.name[-12:] for path in (first, smaller, fewer, touched)}) == 4
    found = read_pack(first)
    assert found and {name: part.images for name, part in found.parts.items()} == {
        "train": 32,
        "val": 8,
    }


def test_pixels_are_mapped_and_a_write_changes_no_file(tmp_path: Path) -> None:
    folder = pack(write_set(tmp_path / "set"))
    data, again = load(f"pack:{folder}"), load(f"pack:{folder}")
    data.train.pixels[:] = 7
    assert (data.train.pixels == 7).all() and not (again.train.pixels == 7).all()
    document = read_pack(folder)
    assert document is not None and is_whole(folder, document)


@pytest.mark.usefixtures("small_chunks")
def test_a_changed_byte_is_found_and_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_set(tmp_path / "set")
    folder = pack(source)
    before = (folder / "train.pixels").read_bytes()
    spoiled = bytearray(before)
    spoiled[4000] ^= 1
    (folder / "train.pixels").write_bytes(spoiled)
    caplog.set_level(logging.INFO)
    assert pack(source) == folder
    assert (folder / "train.pixels").read_bytes() == before
    assert "has changed since it was written" in caplog.text
    assert "packed 4 images" in caplog.text  # of its chunk, and no others
    (folder / DOCUMENT).write_text((folder / DOCUMENT).read_text().replace("10", "11", 1))
    assert read_pack(folder) is None and read_pack(pack(source)) is not None


@pytest.mark.usefixtures("small_chunks")
def test_unreadable_images_leave_no_hole_in_a_pack(tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", images=40)
    whole = load(f"pack:{pack(source)}")
    for name in ("a/0", "b/9", "b/30"):
        (tmp_path / "set" / f"{name}.png").write_bytes(b"none")
    folder = pack(source)
    data = load(f"pack:{folder}")
    assert len(data.train) + len(data.val) == 77 and data.notes[1].startswith("3 of 80")
    left = {image.numpy().tobytes(): int(label) for image, label in pairs(data)}
    was = {image.numpy().tobytes(): int(label) for image, label in pairs(whole)}
    assert len(left) == 77 and left.items() <= was.items()
    # packed again from its own record, which is of the pack before the holes were filled
    (folder / DOCUMENT).unlink()
    again = load(f"pack:{pack(source)}")
    assert torch.equal(again.train.pixels, data.train.pixels)


def pairs(data: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    parts = (data.train, data.val)  # type: ignore[attr-defined]
    return [pair for part in parts for pair in zip(part.pixels, part.labels, strict=True)]


def pack_slowly(source: str, cache: Path, seconds: float) -> None:
    """Pack an image at a time, as a process of its own; it may be killed."""
    one_by_one = packing.packed_chunks

    def slowly(*given: Any) -> Iterator[Any]:
        for one in one_by_one(*given):
            time.sleep(seconds)
            yield one

    packs.CHUNK_BYTES, packing.packed_chunks = 3 * 10 * 10, slowly
    pack(source, cache=cache)


def test_killed_twice_it_goes_on_and_is_the_same_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_set(tmp_path / "set", images=100)
    killed, kept = tmp_path / "killed", 0
    monkeypatch.setattr(packs, "CHUNK_BYTES", 3 * 10 * 10)
    for _ in range(2):
        fork = multiprocessing.get_context("fork")
        process = fork.Process(target=pack_slowly, args=(source, killed, 0.02))
        process.start()
        while recorded(killed) <= kept + 20:
            assert process.is_alive()
            time.sleep(0.01)
        process.kill()
        process.join()
        kept = recorded(killed)
        assert kept < 200 and not list(killed.glob(f"packs/*/{DOCUMENT}"))
    one = pack(source, cache=killed)
    monkeypatch.setattr(packing, "FEW", 0)  # by other processes, which end in another order
    other = pack(source, cache=tmp_path / "whole")
    assert one.name == other.name
    for name in ("train.pixels", "val.pixels", "train.labels", DOCUMENT):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert recorded(killed) == recorded(tmp_path / "whole") == 200  # none was packed twice


def recorded(cache: Path) -> int:
    """How many chunks have been packed in a cache."""
    records = cache.glob(f"packs/*/{CHUNKS_SO_FAR}")
    return sum(len(path.read_text().splitlines()) for path in records)


def test_no_room_is_said_before_anything_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_set(tmp_path / "set")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"have 12KB of room, got 1KB in .*name another cache"):
        pack(source, cache=tmp_path / "cache")
    assert not list(tmp_path.glob("cache/packs/*/*.pixels"))


def test_a_disk_that_is_full_when_a_chunk_is_written(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    path = tmp_path / "set" / "a" / "0.png"
    found = path.stat()
    sample = Sample(str(path), 0, found.st_size, found.st_mtime_ns, 0)
    error = pack_chunk(Chunk("/dev/full", 0, 8, [sample])).error
    assert error == (
        "/dev/full must be writable, got: No space left on device; make room, or name another cache"
    )
    changed = pack_chunk(Chunk("/dev/full", 0, 8, [sample._replace(changed=1)])).error
    assert "must not change while it is packed" in changed


def test_a_pack_of_another_version_is_said_to_be_one(tmp_path: Path) -> None:
    folder = pack(write_set(tmp_path / "set"), cache=tmp_path)
    write_checked(folder / DOCUMENT, {**read_checked(folder / DOCUMENT), "version": 0})
    with pytest.raises(ValueError, match="a whole pack of version 1, got one of version 0"):
        load(f"pack:{folder}")
