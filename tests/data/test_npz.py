"""Arrays in an .npz file: layouts, and what can be wrong with them."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scalesearch.data import describe, load
from scalesearch.data.images import split
from scalesearch.testing import check_source
from tests.data.files import fails, noise


def npz(path: Path, **arrays: Any) -> str:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return f"npz:{path}"


def labels(n: int, classes: int = 5) -> np.ndarray[Any, Any]:
    return np.arange(n) % classes


def test_npz_keeps_the_contract(tmp_path: Path) -> None:
    check_source(npz(tmp_path / "f", x_train=noise(50, 16, 16, 3), y_train=labels(50)))


@pytest.mark.parametrize("shape", [(50, 12, 12), (50, 12, 12, 1), (50, 1, 12, 12)])
def test_npz_layouts_of_grey_are_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    source = npz(tmp_path / "f", x_train=noise(50, 12, 12).reshape(shape), y_train=labels(50))
    data = load(source)
    info = describe(source)
    assert (info.channels, info.side, info.classes) == (1, 12, ("0", "1", "2", "3", "4"))
    assert (len(data.train), len(data.val), data.test) == (40, 10, None)
    assert "10 of the 50" in data.notes[0]
    order, _ = split(50, None, 10)
    assert np.array_equal(data.train.pixels[:, 0].numpy(), noise(50, 12, 12)[order.numpy()])
    assert data.train.labels.tolist() == (order % 5).tolist()


def test_npz_channels_last_and_own_splits_by_medmnist_names(tmp_path: Path) -> None:
    x = noise(50, 8, 8, 3)
    arrays: dict[str, Any] = {}
    for name, n in (("train", 50), ("val", 20), ("test", 10)):
        arrays |= {f"{name}_images": x[:n], f"{name}_labels": labels(n)[:, None].astype(np.uint8)}
    data = load(npz(tmp_path / "f", **arrays), train_examples=30, val_examples=7)
    assert data.test and (len(data.train), len(data.val), len(data.test)) == (30, 20, 10)
    assert np.array_equal(data.test.pixels.numpy(), x[:10].transpose(0, 3, 1, 2))
    assert data.train.labels.dtype == torch.int64 and not data.notes


GOOD = {"x_train": noise(20, 8, 8), "y_train": labels(20)}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"x_train": noise(20, 8, 9)}, "must be square, of 1 or 3 channels, got shape (20, 8, 9)"),
        ({"x_train": noise(20, 8, 8, 2)}, "of 1 or 3 channels, got shape (20, 8, 8, 2)"),
        ({"x_train": noise(20, 64)}, "must be NxHxW, NxHxWxC or NxCxHxW, got shape (20, 64)"),
        ({"x_train": noise(20, 8, 8) / 255}, "x_train must be uint8, 0 to 255, got float64"),
        ({"x_train": noise(19, 8, 8)}, "must be of one length, not 0, got 19 and 20"),
        ({"x_train": noise(0, 8, 8), "y_train": labels(0)}, "not 0, got 0 and 0"),
        ({"y_train": labels(20) + 1}, "must be 0, 1, ... with at least 2 classes"),
        ({"y_train": labels(20) - 1}, "got 5 different from -1 to 3"),
        ({"y_train": labels(20) * 2}, "got 5 different from 0 to 8"),
        ({"y_train": labels(20, 1)}, "at least 2 classes and none left out, got 1 different"),
        ({"y_train": labels(20) * 0.5}, "y_train must be integers, got float64"),
        ({"y_train": np.eye(20, dtype=int)}, "one label an image, got shape (20, 20)"),
        ({"y_train": np.array([{}] * 20)}, "y_train must be integers, got object"),
        ({"x_train": np.array([{}] * 20)}, "x_train must be uint8, 0 to 255, got object"),
        ({"x_val": noise(4, 8, 8)}, "must have both x_val and y_val, got only one"),
        ({"x_test": noise(4, 9, 9), "y_test": labels(4)}, "1 channels of 8 pixels, got 1 of 9"),
        ({"x_test": noise(4, 8, 8), "y_test": labels(4) + 3}, "0 to 4, as in training, got 3 to 6"),
    ],
)
def test_npz_that_is_not_in_order(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    load(npz(tmp_path / "good", **GOOD))
    fails(npz(tmp_path / "bad", **GOOD | changed), says)


def test_npz_that_is_broken(tmp_path: Path) -> None:
    fails(f"npz:{tmp_path}/none.npz", "none.npz No such file or directory")
    good = npz(tmp_path / "good", **GOOD)
    content = (tmp_path / "good").read_bytes()
    (tmp_path / "cut").write_bytes(content[:-300])
    fails(f"npz:{tmp_path}/cut", "must be a whole .npz file")
    # one byte of the pixels is another: the zip's checksum tells
    at = content.index(noise(20, 8, 8).tobytes()[:16])
    (tmp_path / "flip").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    fails(f"npz:{tmp_path}/flip", "must be a whole .npz file", "CRC")
    fails(
        npz(tmp_path / "other", images=noise(3, 8, 8)), "must have x_train and y_train, got images"
    )
    np.save(tmp_path / "array.npy", noise(3, 8, 8))
    fails(f"npz:{tmp_path}/array.npy", "must be a whole .npz file")
    with zipfile.ZipFile(tmp_path / "text", "w") as archive:
        archive.writestr("x_train.npy", "not an array")
    fails(f"npz:{tmp_path}/text", "magic string")
    assert len(load(good).train) == 16


@pytest.mark.timeout(60)
def test_npz_that_never_ends_or_promises_too_much_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    fails(f"npz:{tmp_path}/pipe.npz", "must be a regular file, got a pipe")
    fails("npz:/dev/zero", "must be a regular file, got a device")
    head = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 99, 99)}
    np.lib.format.write_array_header_1_0(head, header)
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("x_train.npy", head.getvalue() + bytes(99))
    fails(f"npz:{tmp_path}/f.npz", "must be a whole .npz file", "got 99 bytes of x_train")
