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
    """Classes, channels and side of `source`'s images, without a download or decoding an image.

    Raises ValueError, in one line, where the source is unknown or what it names is not in order.
    """
    name, argument = _parse(source)
    with _named_in_errors(source):
        return SOURCES[name][0](argument)


def load(
    source: str,
    *,
    train_examples: int | None = None,
    val_examples: int = 5000,
    side: int | None = None,
) -> DataSet:
    """`source` in memory, on the CPU, its images at `side` pixels (None: their own side).

    `val_examples` of the training images are held out to validate, and `train_examples` of the rest
    are taken (None: all). Of a user's own images (imagefolder, npz) at most a fifth is held out,
    all are taken where there are fewer, and a validation split of theirs is used whole. Raises
    ValueError, in one line, for a source that is unknown, out of reach or not in order.
    """
    wanted = Wanted(train_examples=train_examples, val_examples=val_examples, side=side)
    name, argument = _parse(source)
    info = describe(source)
    with _named_in_errors(source):
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
    """`source` with its path, if it has one, made absolute, so that any process can read it.

    Raises ValueError where the source is unknown.
    """
    name, argument = _parse(source)
    if name not in ("imagefolder", "npz"):
        return source
    return f"{name}:{Path(argument).expanduser().resolve()}"


def _parse(source: str) -> tuple[str, str]:
    """The name of the source and what follows its colon, "" where nothing does.

    Raises ValueError for an unknown name, or one that wants something after a colon and has not.
    """
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
def _named_in_errors(source: str) -> Iterator[None]:
    """Raises ValueError, one line that names `source`, for an OSError or ValueError inside."""
    try:
        yield
    except OSError as error:
        reason = f"{error.filename or ''} {error.strerror or error}".strip()
        raise ValueError(f"{source}: must be readable, got: {' '.join(reason.split())}") from error
    except ValueError as error:
        raise ValueError(f"{source}: {' '.join(str(error).split())}") from error
