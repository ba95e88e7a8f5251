"""Named data sets as uint8 tensors: `fashion-mnist`, `cifar10`, `imagefolder:DIR` and others."""

import difflib
from pathlib import Path

from scalesearch.data.cifar import ARCHIVES, cifar
from scalesearch.data.folder import describe_folder, read_folder
from scalesearch.data.idx import CLASSES, fashion_mnist
from scalesearch.data.images import DataInfo, DataSet, Images, Source, resized, split
from scalesearch.data.npz import read_npz
from scalesearch.data.shapes import CLASSES as SHAPES
from scalesearch.data.shapes import shapes

__all__ = ["DataInfo", "DataSet", "Images", "describe", "load", "resized"]

NAMED = ("fashion-mnist", "cifar10", "cifar100", "shapes")
FROM_PATH = ("imagefolder", "npz")


def load(source: str, *, train_examples: int | None = None, val_examples: int = 5000) -> DataSet:
    """The data set of that name, decoded, with a fixed validation split.

    Raises ValueError, in one line, for a name or files that are not what they should be.
    """
    return split(read(source), train_examples, val_examples)


def read(source: str) -> Source:
    """The data set of that name as its files hold it."""
    kind, path = parse(source)
    if kind == "fashion-mnist":
        return fashion_mnist()
    if kind in ARCHIVES:
        return cifar(kind)
    if kind == "shapes":
        return shapes()
    return read_folder(path) if kind == "imagefolder" else read_npz(path)


def describe(source: str) -> DataInfo:
    """Name, classes and channels of a data set, without decoding its images where possible."""
    kind, path = parse(source)
    if kind == "fashion-mnist":
        return DataInfo(kind, CLASSES, channels=1)
    if kind in ARCHIVES:
        return DataInfo(kind, tuple(map(str, range(int(kind.removeprefix("cifar"))))), channels=3)
    if kind == "shapes":
        return DataInfo(kind, SHAPES, channels=1, synthetic=True)
    if kind == "imagefolder":
        return describe_folder(path)
    found = read_npz(path)
    return DataInfo(found.name, found.classes, found.train.pixels.shape[1])


def absolute(source: str) -> str:
    """The source with its path made absolute, so that it means the same in any worker."""
    kind, path = parse(source)
    return f"{kind}:{Path(path).resolve()}" if path else source


def parse(source: str) -> tuple[str, str]:
    """Kind and path of a source. Raises ValueError for an unknown one, naming the nearest."""
    kind, _, path = source.partition(":")
    if (kind in NAMED and not path) or (kind in FROM_PATH and path):
        return kind, path
    known = [*NAMED, *(f"{name}:PATH" for name in FROM_PATH)]
    near = difflib.get_close_matches(source, known, 1)
    raise ValueError(
        f"data must be one of {', '.join(known)}; got {source!r}"
        + (f"; did you mean {near[0]!r}?" if near else "")
    )
