"""The images of a study: what is known of them before any is decoded, and where they lie packed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalesearch.data import PACK, is_packed, pack, survey
from scalesearch.data.packs import read_pack
from scalesearch.errors import ParameterError
from scalesearch.networks.models import Model
from scalesearch.spaces.space import Proxy
from scalesearch.trials.trial import decoded

SYNTHETIC = "the images are synthetic: the answer says nothing of photographs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of a study: how many there are, and what a report must not hide of them.

    `side` is theirs, in pixels. `train`, `test` and `side` are None where a study of the first
    version did not write them down. `contents` tells the files that were packed from others.
    """

    name: str
    train: int | None
    val: int | None
    test: int | None
    channels: int | None
    classes: int | None
    side: int | None = None
    notes: tuple[str, ...] = ()
    contents: str | None = None


def images_of(proxy: Proxy, proxy_name: str, train: str | None = None) -> Images:
    """The images that a proxy trains with. Those that are files are counted, none is decoded.

    Of a function `train` that brings its own nothing is known.
    """
    if proxy.data is None and train is not None:
        return unknown_images(train)
    if proxy.data is None:
        raise ParameterError(
            "data",
            f"must be given, for proxy {proxy_name} brings none: imagefolder:DIR, npz:FILE or "
            "another",
        )
    if is_packed(proxy.data):
        return surveyed(proxy.data, proxy)
    found = decoded(proxy.data, proxy.train_examples, proxy.val_examples)
    return Images(
        name=found.name,
        train=len(found.train),
        val=len(found.val),
        test=None if found.test is None else len(found.test),
        channels=found.train.pixels.shape[1],
        classes=len(found.classes),
        side=found.train.pixels.shape[-1],
        notes=(*found.notes, SYNTHETIC) if found.synthetic else found.notes,
    )


def unknown_images(name: str) -> Images:
    """Images of which only a name is known."""
    return Images(name=name, train=None, val=None, test=None, channels=None, classes=None)


def surveyed(source: str, proxy: Proxy) -> Images:
    """The images of a source that is packed, as its files' names and some headers tell."""
    examples = proxy.train_examples
    found = survey(source, train_examples=examples, val_examples=proxy.val_examples)
    return Images(
        name=found.info.name,
        train=found.images["train"],
        val=found.images["val"],
        test=found.images.get("test"),
        channels=found.info.channels,
        classes=len(found.info.classes),
        side=found.info.side,
        notes=found.notes,
    )


def packed(
    images: Images, proxy: Proxy, networks: Sequence[Model], cache: Path | None
) -> tuple[Images, str]:
    """The images as they are packed for those networks, and where a trial reads them.

    Sources of no files stay as they are.
    """
    source = proxy.data or ""
    if not is_packed(source):
        return images, source
    folder = pack(
        source,
        train_examples=proxy.train_examples,
        val_examples=proxy.val_examples,
        side=max(max(model.resolution, model.train_resolution or 1) for model in networks),
        cache=cache,
    )
    found = read_pack(folder)
    assert found is not None
    counts = {name: part.images for name, part in found.parts.items()}
    there = replace(
        images,
        train=counts["train"],
        val=counts["val"],
        test=counts.get("test"),
        notes=found.notes,
        contents=found.contents,
    )
    return there, f"{PACK}{folder.resolve()}"
