"""Shards of webdataset's naming: the images that a folder has, and shards that are broken."""

import io
import tarfile
from pathlib import Path

import pytest
import torch

from scalesearch.data import describe, load, survey
from scalesearch.testing import check_source
from tests.data.files import fails
from tests.data.test_pack import write_set


def write_shards(folder: Path, into: Path, part: str = "train", of: int = 15) -> str:
    """The images of a folder of classes as shards of so many, each with its class by number."""
    into.mkdir(exist_ok=True)
    files = sorted(folder.glob("*/*.png"))
    classes = sorted({path.parent.name for path in files})
    for start in range(0, len(files), of):
        with tarfile.open(into / f"{part}-{start // of:06}.tar", "w") as archive:
            for path in files[start : start + of]:
                key = f"{path.parent.name}/{path.stem}"
                archive.add(path, f"{key}.png")
                add(archive, f"{key}.cls", str(classes.index(path.parent.name)).encode())
    return f"tar:{into}"


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def test_shards_keep_the_contract(tmp_path: Path) -> None:
    write_set(tmp_path / "set")
    check_source(write_shards(tmp_path / "set", tmp_path / "shards"))


def test_shards_hold_what_their_folder_does(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    source = write_shards(tmp_path / "set", tmp_path / "shards", "all")
    write_shards(tmp_path / "set", tmp_path / "shards", "test")
    assert describe(source).classes == ("0", "1")
    assert survey(source, train_examples=None, val_examples=5).images["test"] == 40
    one, other = load(folder), load(source)
    assert sorted(map(sum_of, one.train.pixels)) != []
    whole = [sorted(map(sum_of, [*d.train.pixels, *d.val.pixels])) for d in (one, other)]
    assert whole[0] == whole[1]
    assert other.test and torch.bincount(other.test.labels).tolist() == [20, 20]
    dark = other.train.pixels.float().mean((1, 2, 3)) < 110  # class a is
    assert torch.equal(dark, other.train.labels == 0)


def sum_of(image: torch.Tensor) -> int:
    return int(image.sum())


@pytest.mark.parametrize("left", [0.5, 0.9])
def test_a_shard_cut_short_is_named(tmp_path: Path, left: float) -> None:
    write_set(tmp_path / "set")
    source = write_shards(tmp_path / "set", tmp_path / "shards")
    shard = tmp_path / "shards" / "train-000001.tar"
    whole = shard.read_bytes().rstrip(b"\0")
    shard.write_bytes(whole[: int(len(whole) * left) // 512 * 512])
    fails(source, str(shard), "must be a whole tar file")


def test_shards_that_are_not_in_order(tmp_path: Path) -> None:
    into = tmp_path / "shards"
    fails(f"tar:{into}", "must be a folder of tar files, got none")
    into.mkdir()
    (into / "train-0.tar").write_bytes(b"no tar")
    fails(f"tar:{into}", "must be a whole tar file, not compressed")
    with tarfile.open(into / "train-0.tar", "w") as archive:
        add(archive, "a.jpg", b"...")
    fails(f"tar:{into}", "must have a.cls beside its image")
    with tarfile.open(into / "train-0.tar", "w") as archive:
        for key, label in (("a", b"cat"), ("b", b"cat")):
            add(archive, f"{key}.jpg", b"...")
            add(archive, f"{key}.cls", label)
    fails(f"tar:{into}", "at least 2 classes, got cat")
    (into / "train-0.tar").rename(into / "val-0.tar")
    fails(f"tar:{into}", "must have shards train-*.tar, got val")
