"""Data sets: what is read, how it is split and resized, and what is refused."""

import gzip
import io
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scalesearch.data import describe, load, resized
from scalesearch.data.cifar import read_archive
from scalesearch.data.download import check, obtain
from scalesearch.data.folder import read_folder
from scalesearch.data.idx import DEBIAN, read_idx
from scalesearch.data.images import Images, split, statistics

installed = pytest.mark.skipif(not DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")


@installed
def test_fashion_mnist_is_read_and_split_the_same_way_every_time() -> None:
    data, again = load("fashion-mnist"), load("fashion-mnist", train_examples=100)
    assert data.train.pixels.shape == (55_000, 1, 28, 28)
    assert data.train.pixels.dtype == torch.uint8
    assert data.val.pixels.shape == (5_000, 1, 28, 28)
    assert data.test is not None and data.test.labels.bincount().tolist() == [1000] * 10
    together = torch.cat([data.train.labels, data.val.labels])
    assert together.bincount().tolist() == [6000] * 10, "the splits are parts of one whole"
    assert torch.equal(again.val.pixels, data.val.pixels)
    assert torch.equal(again.train.pixels, data.train.pixels[:100])
    assert data.mean[0] == pytest.approx(0.286, abs=0.001)
    assert data.std[0] == pytest.approx(0.353, abs=0.001)


@installed
def test_describe_says_without_decoding_what_load_finds() -> None:
    for source in ("fashion-mnist", "shapes"):
        info, data = describe(source), load(source, train_examples=10)
        assert (info.name, info.classes, info.synthetic) == (
            data.name,
            data.classes,
            data.synthetic,
        )
        assert info.channels == data.train.pixels.shape[1]


def test_shapes_are_the_same_every_time_and_say_that_they_are_synthetic() -> None:
    data = load("shapes", train_examples=500, val_examples=100)
    assert data.synthetic
    assert torch.equal(
        data.train.pixels, load("shapes", train_examples=500, val_examples=100).train.pixels
    )
    assert set(data.train.labels.tolist()) == set(range(10))


def test_more_than_there_is_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="must fit in the 12000 there are"):
        load("shapes", train_examples=12_000, val_examples=1)
    with pytest.raises(ValueError, match="must fit"):
        load("shapes", val_examples=12_000)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fashon-mnist", "did you mean 'fashion-mnist'"),
        ("imagefolder", "imagefolder:PATH"),
        ("cifar10:x", "data must be one of"),
        ("", "data must be one of"),
    ],
)
def test_an_unknown_source_names_those_there_are(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(source)


def test_resizing_is_antialiased_and_rounds() -> None:
    checks = torch.tensor([[0, 255], [255, 0]], dtype=torch.uint8).repeat(8, 8)[None, None]
    images = Images(checks, torch.zeros(1, dtype=torch.long))
    small = resized(images, 4).pixels
    assert small.shape == (1, 1, 4, 4)
    assert (small.int() - 128).abs().max() <= 8, "grey, where skipping pixels would give black"
    assert resized(images, 16) is images


def test_statistics_are_those_of_numpy() -> None:
    pixels = torch.randint(0, 256, (9, 2, 5, 5), dtype=torch.uint8)
    mean, std = statistics(pixels)
    assert mean == pytest.approx((pixels / 255).mean((0, 2, 3)).tolist(), rel=1e-5)
    assert std == pytest.approx((pixels / 255).std((0, 2, 3), correction=0).tolist(), rel=1e-5)
    assert statistics(torch.zeros(3, 1, 2, 2, dtype=torch.uint8))[1] == (1.0,)


def idx(path: Path, magic: int, shape: tuple[int, ...], content: bytes) -> Path:
    path.write_bytes(gzip.compress(struct.pack(f">I{len(shape)}I", magic, *shape) + content))
    return path


def test_idx_files_that_are_broken_are_refused(tmp_path: Path) -> None:
    sound = idx(tmp_path / "a.gz", 2051, (2, 3, 3), bytes(range(18)))
    assert read_idx(sound, 3).shape == (2, 3, 3)
    with pytest.raises(ValueError, match="magic number must be 0x00000801, got 0x00000803"):
        read_idx(sound, 1)
    with pytest.raises(ValueError, match="must hold 18 bytes of data, got 5"):
        read_idx(idx(tmp_path / "b.gz", 2051, (2, 3, 3), bytes(5)), 3)
    (tmp_path / "c.gz").write_bytes(sound.read_bytes()[:-10])
    with pytest.raises(ValueError, match="must be a whole IDX file"):
        read_idx(tmp_path / "c.gz", 3)
    (tmp_path / "d").write_bytes(struct.pack(">II", 2051, 7))
    with pytest.raises(ValueError, match="header must be 16 bytes, got 8"):
        read_idx(tmp_path / "d", 3)


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def record(*labels: int, pixel: int) -> bytes:
    return bytes(labels) + bytes([pixel]) * 3072


def test_cifar_archives_are_read_in_place(tmp_path: Path) -> None:
    ten = {f"data_batch_{i}.bin": record(i, pixel=i) for i in range(1, 6)}
    ten |= {"test_batch.bin": record(9, pixel=7), "batches.meta.txt": b"\n".join([b"x"] * 10)}
    data = read_archive(archive(tmp_path / "10.tar.gz", ten), "cifar10")
    assert data.train.labels.tolist() == [1, 2, 3, 4, 5]
    assert data.train.pixels[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    hundred = {"train.bin": record(1, 99, pixel=3), "test.bin": record(0, 5, pixel=4)}
    hundred["fine_label_names.txt"] = b"\n".join([b"y"] * 100)
    data = read_archive(archive(tmp_path / "100.tar.gz", hundred), "cifar100")
    assert data.train.labels.tolist() == [99], "the fine label, not the coarse one"
    with pytest.raises(ValueError, match=r"must hold .*data_batch_1"):
        read_archive(archive(tmp_path / "none.tar.gz", {}), "cifar10")
    with pytest.raises(ValueError, match="records must be 3073 bytes each"):
        read_archive(
            archive(tmp_path / "short.tar.gz", ten | {"data_batch_1.bin": b"x"}), "cifar10"
        )
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "10.tar.gz").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"must be a whole tar\.gz"):
        read_archive(tmp_path / "cut.tar.gz", "cifar10")


def test_a_download_that_is_not_the_file_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    served = tmp_path / "served"
    served.write_bytes(b"not the data set")
    with pytest.raises(ValueError, match="its SHA-256 must be 00, got"):
        obtain("set", "file", served.as_uri(), "00")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    with pytest.raises(ValueError, match=r"could not be downloaded .* use --data shapes"):
        obtain("set", "file", (tmp_path / "none").as_uri(), "00", hint=": use --data shapes")
    check(b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "nothing")


def photos(folder: Path, classes: dict[str, int], side: tuple[int, int] = (40, 30)) -> Path:
    rng = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (*side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def test_an_image_folder_is_read(tmp_path: Path) -> None:
    photos(tmp_path / "train", {"ant": 6, "bee": 5})
    photos(tmp_path / "val", {"ant": 2, "bee": 2})
    photos(tmp_path / "test", {"ant": 1, "bee": 1})
    data = load(f"imagefolder:{tmp_path}")
    assert data.classes == ("ant", "bee")
    assert data.train.pixels.shape == (11, 3, 64, 64)
    assert (len(data.val.labels), data.test and len(data.test.labels)) == (4, 2)
    assert describe(f"imagefolder:{tmp_path}").classes == ("ant", "bee")


def test_a_folder_of_classes_alone_is_split(tmp_path: Path) -> None:
    photos(tmp_path, {"ant": 6, "bee": 6})
    data = load(f"imagefolder:{tmp_path}", val_examples=4)
    assert (len(data.train.labels), len(data.val.labels), data.test) == (8, 4, None)


def test_a_corrupt_image_is_left_out_and_named_while_few(tmp_path: Path) -> None:
    photos(tmp_path, {"ant": 20, "bee": 20})
    broken = tmp_path / "bee" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    data = read_folder(str(tmp_path))
    assert len(data.train.labels) == 39
    assert "1 corrupt of 40 images left out" in data.notes[0] and "3.png" in data.notes[0]
    for i in range(4, 7):
        (tmp_path / "ant" / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"at most 5% of the images may be corrupt, got 4 of 40"):
        read_folder(str(tmp_path))


def test_splits_with_other_classes_are_refused(tmp_path: Path) -> None:
    photos(tmp_path / "train", {"ant": 2, "bee": 2})
    photos(tmp_path / "val", {"ant": 2, "cat": 2})
    with pytest.raises(ValueError, match=r"must have the classes of .* ant, bee"):
        read_folder(str(tmp_path))


def test_arrays_in_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (20, 9, 9, 3), dtype=np.uint8)
    y = np.arange(20) % 4
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    data = load(f"npz:{tmp_path / 'a.npz'}", val_examples=5)
    assert data.train.pixels.shape == (15, 3, 9, 9)
    assert data.test is not None and len(data.test.labels) == 4
    np.savez(tmp_path / "b.npz", train_images=x[..., 0], train_labels=y[:, None])
    assert describe(f"npz:{tmp_path / 'b.npz'}").channels == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros(3)}, "must hold x_train and y_train"),
        ({"x_train": np.zeros((2, 4, 4)), "y_train": [0, 1]}, "must be uint8, got float64"),
        ({"x_train": np.zeros((2, 4, 5), "u1"), "y_train": [0, 1]}, "must be squares"),
        ({"x_train": np.zeros((2, 4, 4), "u1"), "y_train": [0]}, "as many labels as images"),
        ({"x_train": np.zeros((2, 4, 4), "u1"), "y_train": [0, -1]}, "whole numbers from 0"),
        ({"x_train": np.zeros((2, 4, 4), "u1"), "y_train": [0, 0]}, "at least two classes"),
        ({"x_train": np.array([{}]), "y_train": [0]}, "must be a readable .npz"),
    ],
)
def test_arrays_that_are_no_images_are_refused(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message) as caught:
        load(f"npz:{path}")
    assert "\n" not in str(caught.value)


def test_a_declared_validation_split_is_kept(tmp_path: Path) -> None:
    source = read_folder(str(photos(tmp_path, {"ant": 4, "bee": 4})))
    data = split(replace(source, val=source.train), 3, 1)
    assert len(data.val.labels) == 8 and len(data.train.labels) == 3
