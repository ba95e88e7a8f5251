"""Folders of images: splits, decoding, and files that are none."""

import os
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from scalesearch.data import describe, load, packer, survey
from scalesearch.data.decode import decode
from scalesearch.testing import check_source
from tests.data.files import fails, noise


def write_folder(root: Path, classes: str = "ab", images: int = 10) -> Path:
    """PNGs, 20x12: class a red, class b green, class c blue."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(images):
            colour = [0, 0, 0]
            colour["abc".index(name)] = 200 + i
            Image.new("RGB", (20, 12), tuple(colour)).save(root / name / f"{i}.png")
    return root


def test_imagefolder_keeps_the_contract(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", images=20)
    check_source(f"imagefolder:{tmp_path}/one")
    for name in ("train", "val", "test"):
        write_folder(tmp_path / "three" / name, images=16)
    check_source(f"imagefolder:{tmp_path}/three")


def test_imagefolder_of_three_splits(tmp_path: Path) -> None:
    for name, images in (("train", 6), ("val", 3), ("test", 2)):
        write_folder(tmp_path / name, images=images)
    info = describe(f"imagefolder:{tmp_path}")
    assert (info.classes, info.channels, info.side) == (("a", "b"), 3, 12)
    data = load(f"imagefolder:{tmp_path}", side=8)
    assert data.test and (len(data.train), len(data.val), len(data.test)) == (12, 6, 4)
    assert data.train.pixels.shape == (12, 3, 8, 8) and not data.notes
    # the label is the channel that is lit
    for images in (data.train, data.val, data.test):
        assert torch.equal(images.pixels.float().mean((2, 3)).argmax(1), images.labels)
    assert load(f"imagefolder:{tmp_path}").train.pixels.shape == (12, 3, 12, 12)
    assert len(load(f"imagefolder:{tmp_path}", side=8, train_examples=5).train) == 5
    assert len(load(f"imagefolder:{tmp_path}", side=8, train_examples=13).train) == 12


@pytest.mark.parametrize("under", ["", "train"])
def test_imagefolder_without_val_has_one_taken_out(tmp_path: Path, under: str) -> None:
    write_folder(tmp_path / under, images=20)
    data = load(f"imagefolder:{tmp_path}", side=8)
    assert (len(data.train), len(data.val), data.test) == (32, 8, None)  # a fifth
    assert data.notes == (
        "validation split: 8 of the 40 training images (5000 asked, at most 20% taken)",
    )
    seen = {
        (label, pixel)
        for part in (data.train, data.val)
        for label, pixel in zip(
            part.labels.tolist(), part.pixels.amax((1, 2, 3)).tolist(), strict=True
        )
    }
    assert len(seen) == 40  # no image on both sides
    assert len(load(f"imagefolder:{tmp_path}", side=8, val_examples=4).val) == 4
    again = load(f"imagefolder:{tmp_path}", side=8)
    assert torch.equal(again.val.pixels, data.val.pixels)


def test_imagefolder_test_without_val(tmp_path: Path) -> None:
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", images=1)
    data = load(f"imagefolder:{tmp_path}", side=8)
    assert data.test and (len(data.train), len(data.val), len(data.test)) == (16, 4, 2)


def test_imagefolder_decodes_only_what_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "set", images=20)
    source, opened = f"imagefolder:{tmp_path}/set", []

    def seen(content: bytes, side: int) -> Any:
        opened.append(side)
        return decode(content, side)

    monkeypatch.setattr(packer, "decode", seen)
    assert describe(source).side == 12
    assert survey(source, train_examples=3, val_examples=2).images == {"train": 3, "val": 2}
    assert not opened
    load(source, side=8, train_examples=3, val_examples=2)
    assert opened == [8] * 5
    load(source, side=8, train_examples=3, val_examples=2)
    assert len(opened) == 5  # what is packed stays so


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "train")
    assert describe(f"imagefolder:{tmp_path}").classes == ("b", "train")


def spoil(path: Path, content: bytes) -> None:
    assert path.exists()
    path.write_bytes(content)


def test_unreadable_images_are_named_and_left_out(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", images=20)
    write_folder(tmp_path / "val", images=5)
    cut, text = tmp_path / "train" / "a" / "3.png", tmp_path / "val" / "b" / "0.png"
    Image.fromarray(noise(64, 64, 3)).save(cut)
    spoil(cut, cut.read_bytes()[:5000])
    data = load(f"imagefolder:{tmp_path}", side=8)
    assert (len(data.train), len(data.val)) == (39, 10)
    (note,) = data.notes
    assert note.startswith("1 of 50 images could not be read") and str(cut) in note
    assert torch.bincount(data.train.labels).tolist() == [19, 20]
    spoil(text, b"not an image")
    assert len(load(f"imagefolder:{tmp_path}", side=8).val) == 9
    # 3 of 50 are 6 %
    spoil(tmp_path / "train" / "b" / "7.png", b"")
    fails(f"imagefolder:{tmp_path}", "at most 5%", "got 3 of 50", str(cut), "mend or remove")


def test_a_decompression_bomb_is_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "train", images=20)
    write_folder(tmp_path / "val", images=20)
    Image.fromarray(noise(40, 40)).save(tmp_path / "train" / "a" / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    (note,) = load(f"imagefolder:{tmp_path}", side=8).notes
    assert note.startswith("1 of 80") and "bomb" in note


def black(path: Path, side: int) -> None:
    """A PNG of so many pixels a side, a bit each, which is small however many they are."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((1 + (side + 7) // 8) * side), 9)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.timeout(60)
def test_too_many_pixels_and_what_never_ends_are_unreadable(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    write_folder(tmp_path / "train", images=40)
    write_folder(tmp_path / "val", images=1)
    bomb, pipe = tmp_path / "train/a/0.png", tmp_path / "train/b/0.png"
    black(bomb, 13_300)
    assert bomb.stat().st_size < 25_000
    pipe.unlink()
    os.mkfifo(pipe)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (note,) = load(f"imagefolder:{tmp_path}", side=8).notes
    assert note.startswith("2 of 82") and "13300 x 13300" in note and "got a pipe" in note
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB"
    assert not recwarn.list
    black(bomb, 8_000)
    assert "1 of 82" in load(f"imagefolder:{tmp_path}", side=8).notes[0]


def test_imagefolder_that_is_not_in_order(tmp_path: Path) -> None:
    source = f"imagefolder:{tmp_path}/set"
    root = tmp_path / "set"
    fails(source, "must be a folder of images, got no such folder")
    root.mkdir()
    fails(source, "at least 2, got 0")
    write_folder(root / "train", "a")
    fails(source, "at least 2, got a")
    (root / "train" / "b").mkdir()
    (root / "train" / "b" / "notes.txt").write_text("")
    fails(source, str(root / "train" / "b"), "must have at least 1 image", "got none")
    write_folder(root / "train", "c")
    (root / "train" / "b" / "notes.txt").rename(root / "train" / "b" / "0.png")
    write_folder(root / "val", "ab")
    found = survey(source, train_examples=None, val_examples=5000)
    assert found.notes[1] == "val has no image of the classes c"
    (root / "val" / "a").rename(root / "val" / "d")
    fails(source, str(root / "val"), "must have the classes of train", "got d besides")
    (root / "train").rename(root / "elsewhere")
    fails(source, "must have class folders in train", "val")
    spoil(tmp_path / "set" / "elsewhere" / "a" / "0.png", b"")
    fails(f"imagefolder:{root}/elsewhere/a/0.png", "must be a folder of images")


def test_a_split_with_no_readable_image(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", images=60)
    write_folder(tmp_path / "val", images=1)
    for name in "ab":
        spoil(tmp_path / "val" / name / "0.png", b"")
    fails(f"imagefolder:{tmp_path}", "val must have at least 1 readable image", side=8)


def test_uneven_classes_are_noted(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", "a", images=31)
    write_folder(tmp_path / "train", "b", images=10)
    write_folder(tmp_path / "val")
    (note,) = load(f"imagefolder:{tmp_path}", side=8).notes
    assert note.startswith("the classes are uneven: 10 to 31 training images")
