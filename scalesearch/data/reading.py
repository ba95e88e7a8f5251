"""The bytes of an image of a catalogue, wherever they lie, and what the headers of some tell."""

from pathlib import Path
from statistics import median_low

from scalesearch.data.catalogue import HUGGING_FACE, Catalogue, Sample
from scalesearch.data.decode import shorter_side
from scalesearch.data.huggingface import content
from scalesearch.files import check_regular

LOOKED_AT = 200  # images whose headers tell the side of all


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
    """An image's bytes. Raises OSError where it cannot be read, ValueError for no regular file."""
    if sample.path.startswith(HUGGING_FACE):
        return content(sample.path, sample.start)
    path = Path(sample.path)
    check_regular(path)
    with path.open("rb") as file:
        file.seek(sample.start)
        return file.read(sample.size)
