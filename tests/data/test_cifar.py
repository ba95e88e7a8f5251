"""CIFAR-10 and CIFAR-100: records, archives, and what can be wrong with them."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from scalesearch.data import cifar, describe, load
from scalesearch.testing import check_source
from tests.data.files import fails


def cifar_archive(
    path: Path, layout: cifar.Layout, records: int = 12, **replaced: bytes | None
) -> str:
    """Writes an archive in the binary format; its SHA-256."""
    rng = np.random.default_rng(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in (*layout.train, *layout.test):
            table = rng.integers(0, 256, (records, layout.label_bytes + 3072), np.uint8)
            table[:, : layout.label_bytes] = np.arange(records)[:, None] % 10
            table[:, 0] //= layout.label_bytes  # the coarse label is another than the fine one
            content = replaced.get(name.removesuffix(".bin"), table.tobytes())
            if content is not None:
                entry = tarfile.TarInfo(f"folder/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("layout", [cifar.CIFAR10, cifar.CIFAR100], ids=lambda layout: layout.name)
def test_cifar_records(tmp_path: Path, layout: cifar.Layout) -> None:
    sha256 = cifar_archive(tmp_path / "archive", layout)
    train, test = cifar.read_archive(tmp_path / "archive", layout, sha256)
    assert train.pixels.shape == (12 * len(layout.train), 3, 32, 32) and len(test) == 12
    assert test.labels.tolist() == [i % 10 for i in range(12)]
    assert train.pixels.dtype == torch.uint8
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (12, layout.label_bytes + 3072), np.uint8)
    green = first[5, layout.label_bytes + 1024 :][:1024].reshape(32, 32)
    assert np.array_equal(train.pixels[5, 1].numpy(), green)


def test_cifar_from_the_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_cache / "cifar10" / cifar.CIFAR10.archive
    cifar_archive(path, cifar.CIFAR10)
    # an archive that is not the published one is refused, whoever put it there
    fails("cifar10", str(path), f"must have SHA-256 {cifar.CIFAR10.sha256}", "remove it")
    monkeypatch.setattr(
        cifar, "read_archive", lambda path, layout, _: READ(path, layout, sha(path))
    )
    check_source("cifar10")
    data = load("cifar10", train_examples=40, val_examples=20)
    assert data.test and (len(data.train), len(data.val), len(data.test)) == (40, 20, 12)
    assert data.classes == describe("cifar10").classes and len(data.mean) == 3


READ = cifar.read_archive


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_cifar_out_of_reach_says_where_to_put_it(own_cache: Path) -> None:
    path = own_cache / "cifar100" / "cifar-100-binary.tar.gz"
    fails("cifar100", str(path), "by hand", "the data set shapes")
    info = describe("cifar100")
    assert (len(set(info.classes)), info.channels, info.side) == (100, 3, 32)
    assert list(info.classes) == sorted(info.classes)


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (None, "test_batch.bin must be records of 3073 bytes each, got 0 bytes"),
        (b"\0" * 3072, "records of 3073 bytes each, got 3072 bytes"),
        (b"\x0a" + b"\0" * 3072, "labels of test_batch.bin must be below 10, got 10"),
    ],
)
def test_cifar_archive_with_a_bad_member(tmp_path: Path, member: bytes | None, says: str) -> None:
    path = tmp_path / "archive"
    sha256 = cifar_archive(path, cifar.CIFAR10, test_batch=member)
    with pytest.raises(ValueError, match=says):
        cifar.read_archive(path, cifar.CIFAR10, sha256)


def test_cifar_archive_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    cifar_archive(path, cifar.CIFAR10)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"must be a whole tar\.gz archive"):
        cifar.read_archive(path, cifar.CIFAR10, sha(path))
    path.write_bytes(b"<html>moved</html>")
    with pytest.raises(ValueError, match=r"must be a whole tar\.gz archive"):
        cifar.read_archive(path, cifar.CIFAR10, sha(path))
