"""From the name of a data set to its tensors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scalesearch.data import arrays, cifar, fashion, folder, huggingface, shapes, shards
from scalesearch.data.catalogue import Catalogue, chosen
from scalesearch.data.images import (
    DataInfo,
    DataSet,
    Parts,
    Survey,
    Wanted,
    channel_statistics,
    resized,
)
from scalesearch.data.packing import make_pack
from scalesearch.data.packs import open_pack
from scalesearch.data.reading import own_side
from scalesearch.errors import meant

# what a source is called: how to describe it, how to read it; both are given what follows the colon
SOURCES: dict[str, tuple[Callable[[str], DataInfo], Callable[[str, Wanted], Parts]]] = {
    "fashion-mnist": (fashion.describe, fashion.read),
    "cifar10": (cifar.describe10, cifar.read10),
    "cifar100": (cifar.describe100, cifar.read100),
    "shapes": (shapes.describe, shapes.read),
    "npz": (arrays.describe, arrays.read),
}
# those whose images are files, which are packed before they are read
CATALOGUES: dict[str, Callable[[str], Catalogue]] = {
    "imagefolder": folder.catalogue,
    "tar": shards.catalogue,
    "hf": huggingface.catalogue,
}
# what each expects after a colon; the rest take nothing
ARGUMENTS = {"shapes": "[:N]", "imagefolder": ":DIR", "tar": ":DIR", "hf": ":NAME", "npz": ":FILE"}
PACK = "pack:"  # stands before the folder of a pack, where a trial's data are named


def describe(source: str) -> DataInfo:
    """Classes, channels and side of `source`'s images, without a download or decoding an image.

    Raises ValueError, in one line, where the source is unknown or what it names is not in order.
    """
    name, argument = _parse(source)
    with _named_in_errors(source):
        return SOURCES[name][0](argument) if name in SOURCES else _info(CATALOGUES[name](argument))


def _info(catalogue: Catalogue) -> DataInfo:
    """What is known of images that are files: RGB, of the side that their headers say."""
    return DataInfo(catalogue.source, catalogue.classes, 3, own_side(catalogue))


def is_packed(source: str) -> bool:
    """Whether the images of `source` are packed before they are read."""
    return source.partition(":")[0] in CATALOGUES


def survey(source: str, *, train_examples: int | None, val_examples: int) -> Survey:
    """What `load` would give of a source that is packed; no image is decoded.

    Raises ValueError, in one line, where what it names is not in order.
    """
    wanted = Wanted(train_examples=train_examples, val_examples=val_examples)
    name, argument = _parse(source)
    with _named_in_errors(source):
        catalogue = CATALOGUES[name](argument)
        parts, notes = chosen(catalogue, wanted)
        return Survey(_info(catalogue), {name: len(part) for name, part in parts.items()}, notes)


def pack(
    source: str,
    *,
    train_examples: int | None = None,
    val_examples: int = 5000,
    side: int | None = None,
    cache: Path | None = None,
) -> Path:
    """The folder of a pack of `source`, made where there is none, at `side` pixels and never above
    the images' own (None: just that), in `cache` or the user's.

    Raises ValueError, in one line, for a source that is not in order.
    """
    wanted = Wanted(train_examples=train_examples, val_examples=val_examples, side=side)
    return _pack(source, wanted, cache)


def _pack(source: str, wanted: Wanted, cache: Path | None = None) -> Path:
    """As `pack`."""
    name, argument = _parse(source)
    with _named_in_errors(source):
        catalogue = CATALOGUES[name](argument)
        own = own_side(catalogue)
        return make_pack(catalogue, wanted, min(own, wanted.side or own), cache)


def load(
    source: str,
    *,
    train_examples: int | None = None,
    val_examples: int = 5000,
    side: int | None = None,
) -> DataSet:
    """`source` on the CPU, in memory or mapped, at `side` pixels (None: their own side).

    `val_examples` of the training images are held out to validate, and `train_examples` of the rest
    are taken (None: all). Of a user's own images (imagefolder, npz) at most a fifth is held out,
    all are taken where there are fewer, and a validation split of theirs is used whole. Raises
    ValueError, in one line, for a source that is unknown, out of reach or not in order.
    """
    if source.startswith(PACK):
        return open_pack(source.removeprefix(PACK))
    wanted = Wanted(train_examples=train_examples, val_examples=val_examples, side=side)
    name, argument = _parse(source)
    if name in CATALOGUES:
        data = replace(open_pack(str(_pack(source, wanted))), name=source)
        return at_side(data, side or data.train.pixels.shape[-1])
    info = describe(source)
    with _named_in_errors(source):
        parts = SOURCES[name][1](argument, wanted)
    train = resized(parts.train, side or info.side)
    mean, std = channel_statistics(train.pixels)
    return DataSet(
        name=info.name,
        train=train,
        val=resized(parts.val, side or info.side),
        test=parts.test and resized(parts.test, side or info.side),
        classes=info.classes,
        mean=mean,
        std=std,
        synthetic=info.synthetic,
        notes=parts.notes,
    )


def at_side(data: DataSet, side: int) -> DataSet:
    """The data set at `side` pixels, its statistics those of its training images there."""
    train = resized(data.train, side)
    if train is data.train:
        return data
    mean, std = channel_statistics(train.pixels)
    val, test = resized(data.val, side), data.test and resized(data.test, side)
    return replace(data, train=train, val=val, test=test, mean=mean, std=std)


def absolute(source: str) -> str:
    """`source` with its path, if it has one, made absolute, so that any process can read it.

    Raises ValueError where the source is unknown.
    """
    name, argument = _parse(source)
    path = Path(argument).expanduser()
    if name == "hf" and not path.exists():  # a name of the hub
        return source
    if name != "npz" and name not in CATALOGUES:
        return source
    return f"{name}:{path.resolve()}"


def _parse(source: str) -> tuple[str, str]:
    """The name of the source and what follows its colon, "" where nothing does.

    Raises ValueError for an unknown name, or one that wants something after a colon and has not.
    """
    name, _, argument = source.partition(":")
    if name not in (known := (*SOURCES, *CATALOGUES)):
        valid = ", ".join(name + ARGUMENTS.get(name, "") for name in known)
        hint = path_meant(source) or meant(name, known, 0.4)
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
