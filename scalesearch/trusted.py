"""Whose code runs: that of functions which the user has named, and of studies made here.

A function, python:package.module:function, is imported and called. Who names one, or a file that
does, wants that. A study of somebody else's names one, too, and is only looked at, perhaps. So it
is noted outside of the study, where only this user writes, which functions a study may call.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from scalesearch.errors import ParameterError
from scalesearch.files import read_json, write_json

PLANNED = "plan.json"
OF_A_STUDY = ("study.journal", PLANNED)
LEVELS = 3  # a study's own files are in it, in family/ or in a study of its verification


def state_root() -> Path:
    """Where this user's programs keep what they must not lose; ours has a folder there."""
    return user_state_path("scalesearch", appauthor=False)


def study_of(path: Path) -> Path | None:
    """The study that a file or a folder is of; None where it is of none.

    Its front and its verifications, which have journals of their own, are of it.
    """
    places = [path.resolve(), *path.resolve().parents][: LEVELS + 1]
    found = next(
        (place for place in places if any((place / name).exists() for name in OF_A_STUDY)), None
    )
    if found is None or (found / PLANNED).exists() or not (found.parent / PLANNED).exists():
        return found
    return found.parent


def note_path(study: Path) -> Path:
    """Where it is noted which functions a study may call."""
    digest = hashlib.sha256(str(study.resolve()).encode()).hexdigest()[:32]
    return state_root() / "studies" / f"{digest}.json"


def noted(study: Path) -> set[str]:
    """The functions that a study may call."""
    with suppress(ValueError, LookupError, TypeError):
        return set(map(str, read_json(note_path(study))["functions"]))
    return set()


def trust(study: Path, function: str) -> None:
    """Note that a study may call a function, as far as it can be noted."""
    functions = sorted(noted(study) | {function})
    with suppress(OSError):  # the user is asked again
        write_json(note_path(study), {"study": str(study.resolve()), "functions": functions})


def check_trusted(path: Path, *functions: str | None) -> None:
    """Raise ParameterError where a file of a study names functions that it may not call.

    One that is None is none.
    """
    study = study_of(path)
    if study is None or not (named := {name for name in functions if name is not None}):
        return
    if not (unknown := sorted(named - noted(study))):
        return
    raise ParameterError(
        "trust",
        f"must be given to run {' and '.join(unknown)}, which {study} names, a study that was not "
        "made here: it is code that could do anything",
    )
