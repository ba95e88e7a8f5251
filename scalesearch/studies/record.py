"""The record of the runs that made a study: run.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scalesearch.files import optional_document, write_document

FILE = "run.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """How a study was run last, on what, and the seconds of all its runs together.

    `trained_last` is how many trials the last run trained, None where that is not on record.
    """

    options: Mapping[str, object]
    versions: Mapping[str, str]
    trained_last: int | None
    seconds: float


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json."""
    write_document(folder / FILE, record)


def find_record(folder: Path) -> RunRecord | None:
    """The record of a study's runs, None where none has ended yet."""
    return optional_document(folder / FILE, RunRecord)
