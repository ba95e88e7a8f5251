"""From the name of a data set to its tensors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scalesearch.data import arrays, cifar, fashion, folder, shapes
from scalesearch.data.images import DataInfo, DataSet, Parts, Wanted, channel_statistics, resized
from scalesearch.errors import meant

# what a source is called: how to describe it, how to read it; both are given what follows the colon
SOURCES: dict[str, tuple[Callable[[str], DataInfo], Callable[[str, Wanted], Parts]]] = {
    "fashion-mnist": (fashion.describe, fashion.read),
    "cifar10": (cifar.describe10, cifar.read10),
    "cifar100": (cifar.describe100, cifar.read100),
    "shapes": (shapes.describe, shapes.read),
    "imagefolder": (folder.describe, folder.read),
    "npz": (arrays.describe, arrays.read),
}
# what each expects after a colon; the rest take nothing
ARGUMENTS = {"shapes": "[:N]", "imagefolder": ":DIR", "npz": ":FILE"}


def describe(source: str) -> DataInfo:
    """Classes, channels and native side of `source`, without decoding an image or a download.

    Raises ValueError, in one line, where the source is unknown or what it names is not in order.
    """
    name, argument = _parse(source)
    with _one_line(source):
        return SOURCES[name][0](argument)


def load(
    source: str,
    *,
    train_examples: int | None = None,
    val_examples: int = 5000,
    side: int | None = None,
) -> DataSet:
    """`source` in memory, on the CPU, its validation images taken out of the training set.

    A validation split that the user's data bring is used whole, and `val_examples` is not; where
    they bring none, at most a fifth of the training images is taken; of these all are taken where
    they are fewer than `train_examples`. Images are `side` pixels
    (None: native). Raises ValueError, in one line, for what cannot be had.
    """
    wanted = Wanted(train_examples=train_examples, val_examples=val_examples, side=side)
    name, argument = _parse(source)
    info = describe(source)
    with _one_line(source):
        parts = SOURCES[name][1](argument, wanted)
    side = side or info.side
    train = resized(parts.train, side)
    mean, std = channel_statistics(train.pixels)
    return DataSet(
        name=info.name,
        train=train,
        val=resized(parts.val, side),
        test=parts.test and resized(parts.test, side),
        classes=info.classes,
        mean=mean,
        std=std,
        synthetic=info.synthetic,
        notes=parts.notes,
    )


def absolute(source: str) -> str:
    """`source` with its path made absolute, so that it means the same in any process."""
    name, argument = _parse(source)
    if name not in ("imagefolder", "npz"):
        return source
    return f"{name}:{Path(argument).resolve()}"


def _parse(source: str) -> tuple[str, str]:
    """The name of the source and what follows its colon, '' where nothing does."""
    name, _, argument = source.partition(":")
    if name not in SOURCES:
        valid = ", ".join(name + ARGUMENTS.get(name, "") for name in SOURCES)
        hint = path_meant(source) or meant(name, SOURCES, 0.4)
        raise ValueError(f"a data set must be one of {valid}, got {source!r}{hint}")
    expects = ARGUMENTS.get(name, "")
    if bool(argument) != bool(expects) and not (name == "shapes" and not argument):
        raise ValueError(f"this data set must be written {name}{expects}, got {source!r}")
    return name, argument


def path_meant(source: str) -> str:
    """The source that a path without its prefix was meant as, as an error says it at its end."""
    path = Path(source).expanduser()
    prefix = "imagefolder" if path.is_dir() else "npz" if path.suffix == ".npz" else None
    return f"; did you mean {prefix}:{source}?" if prefix else ""


@contextmanager
def _one_line(source: str) -> Iterator[None]:
    """Makes what goes wrong in reading `source` a ValueError of one line that names it."""
    try:
        yield
    except OSError as error:
        reason = f"{error.filename or ''} {error.strerror or error}".strip()
        raise ValueError(f"{source}: must be readable, got: {' '.join(reason.split())}") from error
    except ValueError as error:
        raise ValueError(f"{source}: {' '.join(str(error).split())}") from error
