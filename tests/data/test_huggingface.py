"""Data sets of Hugging Face's library, from a folder; nothing is fetched."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scalesearch.data import describe, load
from scalesearch.testing import check_source
from tests.data.files import fails
from tests.data.test_pack import write_set


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library, which fetches nothing."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    return pytest.importorskip("datasets")


def write_saved(datasets: Any, folder: Path, into: Path) -> str:
    """A folder of classes as a data set that was saved to the disk."""
    files = sorted(folder.glob("*/*.png"))
    features = datasets.Features(
        {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["dark", "light"])}
    )
    rows = {"picture": [str(path) for path in files], "kind": [f.parent.name == "b" for f in files]}
    whole = datasets.Dataset.from_dict({**rows, "kind": list(map(int, rows["kind"]))}, features)
    datasets.DatasetDict({"train": whole, "validation": whole.select(range(15, 25))}).save_to_disk(
        str(into)
    )
    return f"hf:{into}"


def test_a_saved_data_set_is_that_of_its_files(datasets: Any, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    source = write_saved(datasets, tmp_path / "set", tmp_path / "saved")
    assert describe(source).classes == ("dark", "light") and describe(source).side == 10
    data, files = load(source), load(folder)
    assert (len(data.train), len(data.val), data.test) == (40, 10, None)
    assert torch.bincount(data.train.labels).tolist() == [20, 20]
    mine, theirs = (
        data.train.pixels.flatten(1),
        torch.cat([files.train.pixels, files.val.pixels]).flatten(1),
    )
    assert {row.numpy().tobytes() for row in mine} == {row.numpy().tobytes() for row in theirs}
    check_source(source)


def test_what_is_no_data_set_of_images(datasets: Any, tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"text": ["a", "b"]})
    rows.save_to_disk(str(tmp_path / "text"))
    fails(f"hf:{tmp_path}/text", "a column of kind Image", "text (Value)")
    fails(f"hf:{tmp_path}/nowhere", "must be a data set that can be had")


def test_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from scalesearch.data import huggingface

    huggingface.opened.cache_clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    fails("hf:beans", "needs its extra: pip install 'scalesearch[hf]'")
