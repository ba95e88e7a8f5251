"""The study directory: every file that one command leaves and the next one reads.

space.yaml  plan.json  plan.csv  grid.csv  latency.json  study.journal  losses/  checkpoints/
progress.json  trials.csv  curves.csv  run.json  selection.json  verify.json
family.json  family.csv  family/*.yaml  report.md  report.html  figures/
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

if TYPE_CHECKING:  # a command that writes no table need not wait for it
    import pandas as pd


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
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: {error}") from None
