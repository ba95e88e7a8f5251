"""Files of a study: written whole, and read back as what they were written from.

space.yaml  data.json  plan.json  plan.csv  grid.csv  latency.json  study.journal  losses/
checkpoints/  progress.json  trials.csv  curves.csv  run.json  selection.json  verify.json
family.json  family.csv  family/*.yaml  report.md  report.html  figures/

A document is a frozen dataclass. What pydantic leaves out of it when it is written (a field of
`Field(exclude=True)`) is there in memory alone.
"""

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from platformdirs import user_cache_path
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:  # a command that writes no table need not wait for it
    import pandas as pd

T = TypeVar("T")
Keys = dict[str, Any]  # a JSON document before it is checked
SHOWN = 80  # characters of a value that an error shows


def cache_root() -> Path:
    """Where this user's programs keep what can be made again; ours has a folder there."""
    return user_cache_path("scalesearch", appauthor=False)


def write_bytes(path: Path, content: bytes, *, synced: bool = False) -> None:
    """Write a file whole or not at all; `synced`, it is on the disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # each process writes its own, so that two that write the same file do not mix theirs
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV, whole or not at all."""
    write_text(path, table.to_csv(index=False))


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError, in one line, where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON: {error}") from None


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Pydantic's checker and writer of a type, made once."""
    return TypeAdapter(kind)


def plain(value: object) -> Any:
    """A document as what JSON has: dicts, lists, strings, numbers."""
    kind: Any = type(value)
    return adapter(kind).dump_python(value, mode="json")


def write_document(path: Path, value: object) -> None:
    """Write a dataclass as JSON, whole or not at all; read_document gives it back."""
    write_json(path, plain(value))


def read_document(path: Path, kind: type[T], renew: Callable[[Keys], Keys] | None = None) -> T:
    """The document in a JSON file, as the type that it was written from.

    `renew` makes of an earlier version's keys those of today. Raises ValueError, in one line with
    the file and the key, where the file holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and values, got {type(content).__name__}")
    checker: Any = kind
    try:
        found: T = adapter(checker).validate_python(renew(content) if renew else content)
    except ValidationError as error:
        raise ValueError(f"{path}: {first_fault(error)}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError) as error:  # from `renew`
        raise ValueError(
            f"{path} must be a {kind.__name__.lower()} that scalesearch wrote, got "
            f"{type(error).__name__}: {str(error)[:SHOWN]}"
        ) from None
    return found


def optional_document(
    path: Path, kind: type[T], renew: Callable[[Keys], Keys] | None = None
) -> T | None:
    """The document in a JSON file, None where there is no such file."""
    return read_document(path, kind, renew) if path.exists() else None


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong with a document: the key, the rule, the value met."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{where} is missing"
    met = repr(first["input"])
    met = met if len(met) <= SHOWN else f"{met[:SHOWN]}..."
    return f"{where}: {first['msg'].removeprefix('Value error, ')}, got {met}"
