"""Files of a study: written whole, and read back as what they were written from.

space.yaml  data.json  plan.json  plan.csv  grid.csv  latency.json  study.journal  losses/
checkpoints/  progress.json  trials.csv  curves.csv  run.json  selection.json  verify.json
family.json  family.csv  family/*.yaml  report.md  report.html  figures/

A document is a frozen dataclass. What pydantic leaves out of it when it is written (a field of
`Field(exclude=True)`) is there in memory alone.
"""

import errno
import hashlib
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from platformdirs import user_cache_path
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:  # a command that writes no table need not wait for it
    import pandas as pd

T = TypeVar("T")
Keys = dict[str, Any]  # a JSON document before it is checked
SHOWN = 80  # characters of a value that an error shows
MOST_JSON, MOST_YAML = 2**28, 2**18  # bytes of a file
MOST_VALUES = 20_000  # of a YAML file, those of an alias counted wherever it stands
DEEPEST = 50  # levels of a YAML file
# what YAML's constructors raise for a value that its tag does not fit
YAML_FAULTS = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


def cache_root() -> Path:
    """Where this user's programs keep what can be made again; ours has a folder there."""
    return user_cache_path("scalesearch", appauthor=False)


def write_bytes(path: Path, content: bytes, *, synced: bool = False) -> None:
    """Write a file whole or not at all; `synced`, it is on the disk before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # each process writes its own, so that two that write the same file do not mix theirs
    partial = path.with_name(f".{path.name}.{this_process()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def this_process() -> str:
    """This machine and process, as names of what it is writing have them."""
    return f"{socket.gethostname()}-{os.getpid()}"


def abandoned(folder: Path, before: str, behind: str = "") -> list[Path]:
    """What stands in a folder by the name of a process (`this_process`), between two patterns,
    that ran on this machine and runs no more.
    """
    return unowned(folder, f"{before}{re.escape(socket.gethostname())}-(\\d+){behind}")


def unowned(folder: Path, pattern: str) -> list[Path]:
    """What stands in a folder by such a name, its group the number of a process that has ended."""
    name = re.compile(pattern)
    try:
        found = [(path, name.fullmatch(path.name)) for path in folder.iterdir()]
    except OSError:  # there is no such folder
        return []
    return [path for path, match in found if match and not alive(int(match[1]))]


def alive(number: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def clear_partials(folder: Path) -> None:
    """Drop what killed processes had written of files in a folder, as far as that may be."""
    for partial in abandoned(folder, r"\..+\."):
        with suppress(OSError):  # another user's, or another process is quicker
            partial.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV, whole or not at all."""
    write_text(path, table.to_csv(index=False))


def check_regular(path: Path, most: int | None = None) -> None:
    """Raise ValueError for a pipe or a device, which may never end, or more than `most` bytes.

    Raises OSError where there is no file, or a folder.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path} must be a regular file, got a {kind_of(found.st_mode)}")
    if most is not None and found.st_size > most:
        raise ValueError(f"{path} must have at most {most} bytes, got {found.st_size}")


def kind_of(mode: int) -> str:
    """What a file is that is no regular one."""
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def read_text(path: Path, most: int) -> str:
    """The text of a regular file of at most so many bytes, in UTF-8. Raises as check_regular."""
    check_regular(path, most)
    return path.read_text(encoding="utf-8")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError, in one line, where it is none."""
    try:
        return json.loads(read_text(path, MOST_JSON), parse_constant=no_number)
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON: {error}") from None


def no_number(word: str) -> float:
    """Raise ValueError for NaN or Infinity, which are no JSON and were never written."""
    raise ValueError(f"a number must be finite, got {word}")


def read_yaml(path: Path, name: str) -> Any:
    """The content of a YAML file, which errors call `name`.

    Raises OSError where it cannot be read; ValueError, in one line, where it is no YAML, or more
    and deeper than any space or network.
    """
    try:
        text = read_text(path, MOST_YAML)
    except UnicodeError as error:
        raise ValueError(f"{name} must be text in UTF-8: {error}") from None
    try:
        return parsed_yaml(text)
    except RecursionError:
        raise ValueError(f"{name} must have at most {DEEPEST} levels, got more") from None
    except YAML_FAULTS as error:
        raise ValueError(f"{name} must be YAML: {' '.join(str(error).split())}") from None


def parsed_yaml(text: str) -> Any:
    """What a YAML document says. Its aliases are counted before any is written out: nine lines of
    them may stand for a billion values."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if values(node, {}, 1) > MOST_VALUES:
            raise ValueError(f"a document must have at most {MOST_VALUES} values, got more")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def values(node: yaml.Node, known: dict[int, int], level: int) -> int:
    """How many values a node stands for. Raises RecursionError where they are too deep."""
    if level > DEEPEST:
        raise RecursionError
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # as long as it is looked into: it may contain itself
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for item in inner for part in (item if isinstance(item, tuple) else [item])]
        known[id(node)] = 1 + sum(values(part, known, level + 1) for part in parts)
    return known[id(node)]


def write_checked(path: Path, content: Any) -> None:
    """Write JSON with its checksum, which read_checked looks at, as far as it can be written."""
    text = json.dumps(content)
    with suppress(OSError):  # what can be made again costs time, not the answer
        write_text(path, f"{checksum(text)} {text}")


def read_checked(path: Path) -> Any:
    """The JSON that write_checked wrote; None where there is none, or it has changed since."""
    try:
        digest, _, text = read_text(path, MOST_JSON).partition(" ")
        return json.loads(text) if digest == checksum(text) else None
    except (OSError, ValueError):
        return None


def checksum(text: str) -> str:
    """The SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


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
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        # from `renew`
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
    return f"{where}: {first['msg'].removeprefix('Value error, ')}, got {shown(first['input'])}"


def shown(value: object) -> str:
    """A value as an error shows it: the beginning of one that is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
