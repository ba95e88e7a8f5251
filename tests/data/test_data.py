"""Data sets: what is handed over, and one line for everything that can be wrong with files."""

import gzip
import hashlib
import io
import re
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scalesearch.data import (
    Images,
    absolute,
    cifar,
    describe,
    fashion,
    fetch,
    folder,
    load,
    resized,
)
from scalesearch.data.images import RESIZE_CHUNK, channel_statistics, split
from scalesearch.data.shapes import draw

FASHION = Path("/usr/share/datasets/fashion-mnist")
installed = pytest.mark.skipif(
    not FASHION.is_dir(), reason="the package dataset-fashion-mnist is not installed"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and nothing within reach of a download."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion, "URL", (tmp_path / "nowhere").as_uri() + "/")
    monkeypatch.setattr(cifar, "URL", (tmp_path / "nowhere").as_uri() + "/")
    return tmp_path / "cache" / "scalesearch" / "data"


def fails(source: str, *says: str, **options: Any) -> str:
    """The message of the ValueError that loading gives: one line that says all of `says`."""
    with pytest.raises(ValueError) as caught:
        load(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message
    return message


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# names


def test_a_path_is_made_absolute_from_home_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir("/")
    assert absolute("imagefolder:~/photos") == "imagefolder:/home/ada/photos"
    assert absolute("npz:a.npz") == "npz:/a.npz"
    assert absolute("cifar10") == "cifar10"


@pytest.mark.parametrize(
    ("source", "near"),
    [
        ("fashion_mnist", "fashion-mnist"),
        ("CIFAR-10", "cifar10"),
        ("imagefolders:x", "imagefolder"),
    ],
)
def test_unknown_source_names_the_valid_ones_and_the_nearest(source: str, near: str) -> None:
    message = fails(source, repr(source), f"did you mean {near!r}?")
    for valid in ("fashion-mnist", "cifar100", "shapes[:N]", "imagefolder:DIR", "npz:FILE"):
        assert valid in message
    assert "did you mean" not in fails("zzz", "'zzz'")


@pytest.mark.parametrize("source", ["imagefolder", "npz:", "cifar10:x"])
def test_argument_must_be_there_where_one_is_taken(source: str) -> None:
    fails(source, "must be written", repr(source))


@pytest.mark.parametrize("field", ["train_examples", "val_examples", "side"])
def test_sizes_must_be_positive(field: str) -> None:
    fails("shapes", f"{field} must be at least 1, got 0", **{field: 0})


# splitting, resizing, statistics


def test_split_is_fixed_disjoint_and_whole() -> None:
    train, val = split(100, None, 20)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))
    assert len(val) == 20
    torch.manual_seed(1)
    fewer, same = split(100, 7, 20)
    assert torch.equal(same, val) and torch.equal(fewer, train[:7])
    assert val.tolist() != list(range(20))


@pytest.mark.parametrize(("train", "val"), [(None, 100), (81, 20), (1, 100), (None, 101)])
def test_split_of_more_than_there_is(train: int | None, val: int) -> None:
    with pytest.raises(ValueError, match=rf"than there are, 100, got {val} for validation"):
        split(100, train, val)
    assert len(split(100, 80, 20)[0]) == 80


def test_resized_is_antialiased() -> None:
    # of stripes, one pixel in four, a quarter of the light is left; plain bilinear misses them all
    stripes = (torch.arange(16) % 4 == 0).to(torch.uint8).expand(1, 1, 16, 16) * 200
    images = Images(stripes, torch.tensor([3]))
    quarter = resized(images, 4)
    assert quarter.pixels.dtype == torch.uint8 and quarter.pixels.shape == (1, 1, 4, 4)
    assert quarter.labels.tolist() == [3]
    assert (quarter.pixels[..., 1:3].int() - 50).abs().max() <= 10
    assert resized(images, 16) is images


def test_resized_rounds_and_keeps_every_chunk() -> None:
    n = RESIZE_CHUNK + 3
    flat = (torch.arange(n) % 256).to(torch.uint8)[:, None, None, None].expand(n, 3, 5, 5)
    doubled = resized(Images(flat, torch.arange(n)), 10)
    assert torch.equal(doubled.pixels[:, 2, 9, 9], flat[:, 0, 0, 0])
    step = torch.tensor([[0, 1], [0, 1]], dtype=torch.uint8)[None, None] * 3
    # a bilinear doubling of 0, 3 is 0, 0.75, 2.25, 3
    assert resized(Images(step, torch.zeros(1)), 4).pixels[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_channel_statistics() -> None:
    pixels = torch.from_numpy(noise(50, 3, 6, 6))
    mean, std = channel_statistics(pixels)
    scaled = pixels.double() / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist(), abs=1e-12)
    assert channel_statistics(torch.full((2, 1, 3, 3), 255, dtype=torch.uint8)) == ((1.0,), (1.0,))


# shapes


def test_shapes_are_the_same_every_time_and_say_that_they_are_synthetic() -> None:
    one, two = (load("shapes:300", val_examples=100) for _ in range(2))
    assert one.synthetic and describe("shapes").synthetic
    assert torch.equal(one.train.pixels, two.train.pixels)
    assert (len(one.train), len(one.val), len(one.test or [])) == (300, 100, 2000)
    assert one.train.pixels.shape[1:] == (1, 28, 28)
    assert torch.bincount(one.train.labels).tolist() == [30] * 10
    assert not torch.equal(one.train.pixels[:100], one.val.pixels)
    # a smaller set is the beginning of a larger one, across the edge of a drawn chunk
    assert torch.equal(draw(1500, 0).pixels[:1100], draw(1100, 0).pixels)
    assert torch.equal(one.train.pixels, draw(1100, 0).pixels[:300])


def test_shapes_are_no_matter_of_their_mean_template() -> None:
    train, val = draw(4000, 0), draw(1000, 1)
    templates = torch.stack([train.pixels[train.labels == c].float().mean(0) for c in range(10)])
    distances = torch.cdist(val.pixels.float().flatten(1), templates.flatten(1))
    assert (distances.argmin(1) == val.labels).float().mean() < 0.3


def test_shapes_limits() -> None:
    fails("shapes:300", "must be at most 300, got 301; use shapes:301", train_examples=301)
    for bad in ("0", "many", "-3", "1.5"):
        fails(f"shapes:{bad}", "must be a whole number above 0", repr(bad))


def test_side_applies_to_every_split() -> None:
    data = load("shapes:50", val_examples=10, side=16)
    assert data.test
    assert {i.pixels.shape[2:] for i in (data.train, data.val, data.test)} == {(16, 16)}
    assert data.mean == channel_statistics(data.train.pixels)[0]


# Fashion-MNIST and IDX


def write_idx(path: Path, array: np.ndarray[Any, Any], magic: int | None = None) -> Path:
    head = struct.pack(f">{1 + array.ndim}I", magic or 0x0800 + array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes(), 1))
    return path


def small_fashion(root: Path, n: int = 40) -> None:
    for prefix in ("train", "t10k"):
        write_idx(root / f"{prefix}-images-idx3-ubyte.gz", noise(n, 28, 28))
        write_idx(root / f"{prefix}-labels-idx1-ubyte.gz", np.arange(n) % 10)


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
def test_fashion_mnist_test_set_is_the_same_whatever_the_split() -> None:
    few = load("fashion-mnist", train_examples=100, val_examples=50)
    more = load("fashion-mnist", train_examples=200, val_examples=50)
    assert few.test and more.test and torch.equal(few.test.pixels, more.test.pixels)
    assert torch.equal(few.val.pixels, more.val.pixels)
    assert torch.equal(few.train.pixels, more.train.pixels[:100])
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


def test_download_is_checked_and_moved_into_place_whole(tmp_path: Path) -> None:
    served, path = tmp_path / "served", tmp_path / "cache" / "file"
    served.write_bytes(b"content" * 1000)
    sha256 = hashlib.sha256(served.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=r'expected "0000", got "[0-9a-f]{64}".*; do as I say'):
        fetch.download(served.as_uri(), path, "0000", "do as I say")
    assert not list(path.parent.iterdir())
    assert fetch.download(served.as_uri(), path, sha256, "") == path
    assert path.read_bytes() == served.read_bytes() and len(list(path.parent.iterdir())) == 1


def test_every_address_is_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for url in (fashion.URL, cifar.URL):
        assert url.startswith("https://") and url.endswith("/")


def test_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    fails("cifar10", "the data set shapes")


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


def test_what_the_system_refuses_is_one_line(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_fashion(own_cache / "fashion-mnist")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    fails("fashion-mnist", "train-images-idx3-ubyte.gz Permission denied")
    monkeypatch.undo()
    fails("npz:/", "Is a directory")


# CIFAR


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


# image folders


def write_folder(root: Path, classes: str = "ab", images: int = 10) -> Path:
    """PNGs, 20x12: class a red, class b green, class c blue."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(images):
            colour = [0, 0, 0]
            colour["abc".index(name)] = 200 + i
            Image.new("RGB", (20, 12), tuple(colour)).save(root / name / f"{i}.png")
    return root


def test_imagefolder_of_three_splits(tmp_path: Path) -> None:
    for name, images in (("train", 6), ("val", 3), ("test", 2)):
        write_folder(tmp_path / name, images=images)
    info = describe(f"imagefolder:{tmp_path}")
    assert (info.classes, info.channels, info.side) == (("a", "b"), 3, 224)
    data = load(f"imagefolder:{tmp_path}", side=8)
    assert data.test and (len(data.train), len(data.val), len(data.test)) == (12, 6, 4)
    assert data.train.pixels.shape == (12, 3, 8, 8) and not data.notes
    # the label is the channel that is lit
    for images in (data.train, data.val, data.test):
        assert torch.equal(images.pixels.float().mean((2, 3)).argmax(1), images.labels)
    assert load(f"imagefolder:{tmp_path}").train.pixels.shape == (12, 3, 224, 224)
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
    write_folder(tmp_path, images=20)
    opened: list[Path] = []
    monkeypatch.setattr(
        folder, "decode", lambda path, side: (opened.append(path), DECODE(path, side))[1]
    )
    describe(f"imagefolder:{tmp_path}")
    assert not opened
    load(f"imagefolder:{tmp_path}", side=8, train_examples=3, val_examples=2)
    assert len(opened) == 5


DECODE = folder.decode


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "train")
    assert describe(f"imagefolder:{tmp_path}").classes == ("b", "train")


def test_decode_crops_the_middle_and_makes_rgb(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = (10, 200, 30)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    decoded = folder.decode(tmp_path / "wide.png", 10)
    assert decoded.shape == (10, 10, 3) and (decoded == (10, 200, 30)).all()
    Image.fromarray(wide[:, :, 1].T.copy()).save(tmp_path / "tall grey.png")
    assert (folder.decode(tmp_path / "tall grey.png", 4) == 200).all()
    Image.new("RGB", (1600, 800), (90, 90, 90)).save(tmp_path / "large.jpg")
    assert abs(folder.decode(tmp_path / "large.jpg", 32).astype(int) - 90).max() <= 1


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


def test_a_decompression_bomb_and_16_bits_are_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "train", images=20)
    write_folder(tmp_path / "val", images=20)
    Image.fromarray(noise(40, 40)).save(tmp_path / "train" / "a" / "0.png")
    Image.fromarray(noise(9, 9).astype(np.uint16)).save(tmp_path / "train" / "b" / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    (note,) = load(f"imagefolder:{tmp_path}", side=8).notes
    assert note.startswith("2 of 80") and "bomb" in note and "must have 8 bits" in note


def test_other_formats_are_never_opened(tmp_path: Path) -> None:
    # an EPS would be handed to Ghostscript, whatever its name
    write_folder(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "0.png", format="EPS")
    with pytest.raises(OSError, match="cannot identify"):
        folder.decode(tmp_path / "a" / "0.png", 8)


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
    fails(source, str(root / "val"), "must have the classes of train", "difference in c")
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


# npz


def npz(path: Path, **arrays: Any) -> str:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return f"npz:{path}"


def labels(n: int, classes: int = 5) -> np.ndarray[Any, Any]:
    return np.arange(n) % classes


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


def test_nothing_in_the_package_unpickles() -> None:
    for path in Path(folder.__file__).parent.glob("*.py"):
        assert not re.search(r"import pickle|allow_pickle=True|torch\.load", path.read_text())
