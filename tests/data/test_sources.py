"""Names of data sets, downloads, and one line for everything that can be wrong."""

import hashlib
import re
from pathlib import Path

import pytest

from scalesearch.data import absolute, cifar, fashion, fetch, folder
from tests.data.files import fails, small_fashion


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


def test_nothing_in_the_package_unpickles() -> None:
    for path in Path(folder.__file__).parent.glob("*.py"):
        assert not re.search(r"import pickle|allow_pickle=True|torch\.load", path.read_text())


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
