"""What a mirror copies of a study: which files, in which order, and the note that tells of them."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath

from scalesearch.studies.artifacts import CHECKPOINTS, LOSSES, WEIGHTS
from scalesearch.studies.journal import JOURNAL

Sums = dict[str, list[str | None]]


@dataclass(frozen=True, slots=True)
class Note:
    """What stands at the URL: its driver, when that began and was last heard of, in seconds since
    1970 (0: it has ended), and each file's checksums; None among them where it may not be there.
    """

    driver: str
    began: float
    time: float
    files: Sums = field(default_factory=dict)


def order(name: str) -> int:
    """What is copied before what: whose study it is, then what a journal tells of, the journal,
    and what goes on from it.
    """
    if name == "space.yaml":
        return 0
    return 3 if is_checkpoint(name) else 1 + is_journal(name)


def is_journal(name: str) -> bool:
    """Whether a file is the journal of the study, or of one below it."""
    return PurePosixPath(name).name == JOURNAL


def is_checkpoint(name: str) -> bool:
    """Whether a file is a checkpoint."""
    return PurePosixPath(name).parent.name == CHECKPOINTS


def needed(name: str) -> bool:
    """Whether a study is not whole without a file; the others can be made again."""
    return is_journal(name) or PurePosixPath(name).parent.name in (LOSSES, WEIGHTS)


def history_of(name: str, journals: list[str]) -> str:
    """The folder of the journal that tells of a file: the nearest above it."""
    folders = [parent(journal) for journal in journals]
    above = (str(folder) for folder in PurePosixPath(name).parents)
    return next((folder for folder in above if folder in folders), ".")


def parent(name: str) -> str:
    """A file's folder, "." for that of the study."""
    return str(PurePosixPath(name).parent)


def inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into its folder, to a file that may be seen."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not any(part.startswith((".", "/")) for part in parts)


def visible(folder: Path) -> dict[str, Path]:
    """The files of a study by their names in it; what begins with a dot is being written."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path for name, path in found.items() if inside(name) and path.is_file()}


def contents_of(path: Path) -> bytes:
    """A file's content; of a journal, which another process may be writing, the whole lines."""
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1] if path.name == JOURNAL else content


def digest(content: bytes) -> str:
    """A file's SHA-256, in hexadecimal."""
    return sha256(content).hexdigest()
