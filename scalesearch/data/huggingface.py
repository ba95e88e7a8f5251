"""Images of a data set of Hugging Face's `datasets`: of its hub, of its cache, or of a folder."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from scalesearch.data.catalogue import HUGGING_FACE, Catalogue, Sample

PARTS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}


def catalogue(argument: str) -> Catalogue:
    """The images of the data set of that name or folder, by its own splits and classes.

    Raises ValueError where `datasets` is not installed or has no such set, and where that has no
    column of images, no column of classes or no split called train.
    """
    splits: dict[str, list[Sample]] = {}
    classes: tuple[str, ...] = ()
    for name, rows in opened(argument).items():
        if name not in PARTS:
            continue
        _, label = columns(argument, rows)
        found = tuple(rows.features[label].names)
        if classes and found != classes:
            raise ValueError(f"{argument} must have the same classes in every split, got others")
        classes = found
        # the fingerprint tells data of this name from others; `content` needs but the split
        place = f"{HUGGING_FACE}{argument}#{name}#{rows._fingerprint}"
        splits[PARTS[name]] = [
            Sample(place, row, 0, 0, number) for row, number in enumerate(rows[label])
        ]
    if "train" not in splits:
        raise ValueError(f"{argument} must have a split called train, got none")
    return Catalogue(f"hf:{argument}", Path(), classes, splits)


def content(place: str, row: int) -> bytes:
    """The bytes of the image in a row, as its file has them."""
    argument, name, _ = place.removeprefix(HUGGING_FACE).rsplit("#", 2)
    image, _ = columns(argument, opened(argument)[name])
    found = encoded(argument)[name][row][image]
    if found["bytes"] is not None:
        return bytes(found["bytes"])
    return Path(found["path"]).read_bytes()


@lru_cache(maxsize=1)
def opened(argument: str) -> Mapping[str, Any]:
    """The data set by its splits. Raises ValueError where there is none, or no `datasets`."""
    try:
        import datasets
    except ImportError:
        raise ValueError("hf: needs its extra: pip install 'scalesearch[hf]'") from None
    path = Path(argument).expanduser()
    saved = path / "dataset_dict.json", path / "state.json"
    try:
        if any(file.exists() for file in saved):
            found = datasets.load_from_disk(str(path))
        else:
            found = datasets.load_dataset(str(path) if path.exists() else argument)
    except Exception as error:  # of whatever it is made of: files, the network, the hub
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"{argument} must be a data set that can be had, got: {said}") from error
    return dict(found) if isinstance(found, dict) else {"train": found}


@lru_cache(maxsize=1)
def encoded(argument: str) -> Mapping[str, Any]:
    """The same, whose images are given as the bytes of their files."""
    import datasets

    return {
        name: rows.cast_column(columns(argument, rows)[0], datasets.Image(decode=False))
        for name, rows in opened(argument).items()
        if name in PARTS
    }


def columns(argument: str, rows: Any) -> tuple[str, str]:
    """The first column of images, and that of classes. Raises ValueError where one lacks."""
    kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
    found = [[name for name in kinds if kinds[name] == kind] for kind in ("Image", "ClassLabel")]
    if not all(found):
        raise ValueError(
            f"{argument} must have a column of kind Image and one of kind ClassLabel, got "
            f"{', '.join(f'{name} ({kind})' for name, kind in kinds.items())}"
        )
    return found[0][0], found[1][0]
