"""What a source of image files holds, by split, before any image is decoded."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scalesearch.data.images import Wanted, held_out_of, split, trained_on

HUGGING_FACE = "hf:"  # stands before what is no file: rows of a data set, by their numbers
UNEVEN = 3  # times as many images of one class as of another
NAMED = 3


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
