"""What a source of image files holds, by split, before any image is decoded."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from scalesearch.data.decode import shorter_side
from scalesearch.data.images import Wanted, held_out_of, split, trained_on
from scalesearch.files import check_regular

HUGGING_FACE = "hf:"  # stands before what is no file: rows of a data set, by their numbers
UNEVEN = 3  # times as many images of one class as of another
NAMED = 3
LOOKED_AT = 200  # images whose headers tell the side of all


class Sample(NamedTuple):
    """One image: `size` bytes of a file, from `start` on; when that was last changed, in ns; its
    class by number.
    """

    path: str
    start: int
    size: int
    changed: int
    label: int


Splits = Mapping[str, Sequence[Sample]]  # train, and val and test where there are any


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A source's name, its classes, and every image of its splits. Paths lie under `root`."""

    source: str
    root: Path
    classes: tuple[str, ...]
    splits: Splits


def own_side(catalogue: Catalogue) -> int:
    """Pixels of the images' shorter side, the median of as many headers as tell it.

    Raises ValueError where none of them is an image's.
    """
    train = catalogue.splits["train"]
    sides, failed = [], ""
    for sample in train[:: -(-len(train) // LOOKED_AT)]:
        try:
            sides.append(shorter_side(content_of(sample)))
        except Exception as error:  # Pillow raises nearly anything on a broken file
            failed = failed or f"{sample.path} ({reason(error)})"
    if not sides:
        raise ValueError(f"train must have images that can be read, got {failed}")
    return median_low(sides)


def reason(error: Exception) -> str:
    """Why an image cannot be read, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def content_of(sample: Sample) -> bytes:
    """An image's bytes. Raises OSError where they cannot be read; ValueError for no regular file,
    and for one that has changed since it was listed.
    """
    if sample.path.startswith(HUGGING_FACE):
        from scalesearch.data.huggingface import content

        return content(sample.path, sample.start)
    path = Path(sample.path)
    check_regular(path)
    with path.open("rb") as file:
        file.seek(sample.start)
        return file.read(sample.size)


def chosen(catalogue: Catalogue, wanted: Wanted) -> tuple[Splits, tuple[str, ...]]:
    """The images that are wanted, and notes of it: where there is no val, some of train."""
    train = catalogue.splits["train"]
    notes: tuple[str, ...] = ()
    val_examples = 0
    if "val" not in catalogue.splits:
        val_examples, notes = held_out_of(len(train), wanted)
    train_examples = trained_on(len(train) - val_examples, wanted)
    kept, held_out = split(len(train), train_examples, val_examples)
    parts = {
        "train": [train[i] for i in kept.tolist()],
        "val": catalogue.splits.get("val") or [train[i] for i in held_out.tolist()],
    }
    if "test" in catalogue.splits:
        parts["test"] = catalogue.splits["test"]
    return parts, (*notes, *notes_of_classes(catalogue.classes, parts))


def notes_of_classes(classes: Sequence[str], parts: Splits) -> tuple[str, ...]:
    """What a report must not hide of the classes: that they are uneven, or lack in a part."""
    notes = []
    counts = {name: Counter(sample.label for sample in part) for name, part in parts.items()}
    most, least = max(counts["train"].values()), min(counts["train"].values())
    if most > UNEVEN * least:
        notes.append(
            f"the classes are uneven: {least} to {most} training images; accuracy and loss are "
            "over all images, so that large classes weigh most"
        )
    for name, of_part in counts.items():
        if lacking := [label for label in range(len(classes)) if not of_part[label]]:
            named = ", ".join(classes[label] for label in lacking[:NAMED])
            more = ", ..." if len(lacking) > NAMED else ""
            notes.append(f"{name} has no image of the classes {named}{more}")
    return tuple(notes)


def contents(catalogue: Catalogue, splits: Splits) -> str:
    """SHA-256 of what is in those splits: names, places, sizes, times and classes, in order."""
    found = hashlib.sha256(repr(catalogue.classes).encode())
    for name, samples in splits.items():
        found.update(f"{name} {len(samples)}\n".encode())
        for path, start, size, changed, label in samples:
            inside = path.removeprefix(str(catalogue.root))
            found.update(f"{inside!r} {start} {size} {changed} {label}\n".encode())
    return found.hexdigest()
