"""Fashion-MNIST, as installed and as downloaded, and its IDX files."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from scalesearch.data import describe, fashion, load
from scalesearch.testing import check_source
from tests.data.files import FASHION, fails, installed, noise, small_fashion, write_idx


@installed
def test_fashion_mnist_keeps_the_contract() -> None:
    check_source("fashion-mnist")


@installed
def test_fashion_mnist_as_installed() -> None:
    data = load("fashion-mnist")
    assert data.test and not data.synthetic
    assert (len(data.train), len(data.val), len(data.test)) == (55_000, 5000, 10_000)
    together = torch.cat([data.train.labels, data.val.labels])
    assert torch.bincount(together).tolist() == [6000] * 10
    assert torch.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.test.labels[:5].tolist() == [9, 2, 1, 1, 6]
    assert data.classes[9] == "Ankle boot"
    assert data.train.pixels.dtype == torch.uint8 and data.train.labels.dtype == torch.int64
    # published for all 60,000: 0.2860 and 0.3530
    assert (data.mean[0], data.std[0]) == pytest.approx((0.2860, 0.3530), abs=1e-3)


@installed
def test_fashion_mnist_has_no_more_than_its_sixty_thousand() -> None:
    fails("fashion-mnist", "60000", train_examples=55_001)


@installed
def test_published_digest_is_that_of_the_installed_file_in_its_first_gzip_header() -> None:
    # Debian recompressed nothing, it only left out name and time (2017-08-31 10:50:27 UTC)
    name = "t10k-labels-idx1-ubyte"
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", 1504176627) + b"\0\x03" + name.encode() + b"\0"
    upstream = header + (FASHION / f"{name}.gz").read_bytes()[10:]
    assert hashlib.sha256(upstream).hexdigest() == fashion.SHA256[f"{name}.gz"]


def test_fashion_mnist_is_taken_from_the_cache_first(own_cache: Path) -> None:
    small_fashion(own_cache / "fashion-mnist")
    data = load("fashion-mnist", val_examples=10)
    assert (len(data.train), len(data.val)) == (30, 10)


def test_fashion_mnist_out_of_reach_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    monkeypatch.setattr(fashion, "SYSTEM_FOLDER", tmp_path / "not installed")
    fails(
        "fashion-mnist",
        "apt-get install dataset-fashion-mnist",
        "the data set shapes",
        "within reach",
    )
    assert not list(own_cache.rglob("*.*"))
    assert describe("fashion-mnist").side == 28


def test_idx_that_is_broken(tmp_path: Path) -> None:
    good = write_idx(tmp_path / "good.gz", noise(4, 28, 28))
    assert np.array_equal(fashion.read_idx(good, 3), noise(4, 28, 28))
    whole = gzip.decompress(good.read_bytes())
    broken = {
        "magic number must be 2051, got 2049": gzip.compress(
            struct.pack(">2I", 2049, 8) + b"8" * 8
        ),
        r"\[4, 28, 28\] must be 3136 bytes, got 3135": gzip.compress(whole[:-1]),
        "must be 3136 bytes, got 3137": gzip.compress(whole + b"!"),
        "header must be 16 bytes, got 9": gzip.compress(whole[:9]),
        "must be a whole gzip file, got: Compressed file ended": good.read_bytes()[:-200],
        "must be a whole gzip file, got: Not a gzipped file": b"<html>not found</html>",
        "must be a whole gzip file, got: (CRC|Error)": good.read_bytes()[:-8] + b"\1" * 8,
    }
    for says, content in broken.items():
        path = tmp_path / "broken.gz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=says) as caught:
            fashion.read_idx(path, 3)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_fashion_mnist_whose_files_do_not_fit(own_cache: Path) -> None:
    root = own_cache / "fashion-mnist"
    labels = root / "train-labels-idx1-ubyte.gz"
    small_fashion(root)
    write_idx(labels, np.arange(39) % 10)
    fails("fashion-mnist", str(labels), "as many as images, 40, got 39", val_examples=10)
    write_idx(labels, np.full(40, 10))
    fails("fashion-mnist", str(labels), "0 to 9, got 10", val_examples=10)
    write_idx(root / "train-images-idx3-ubyte.gz", noise(40, 28, 27))
    fails("fashion-mnist", "must be 28x28, got (28, 27)", val_examples=10)
