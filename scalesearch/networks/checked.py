"""Tables that are read from files: renamed keys, and what is wrong, in one line."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from scalesearch.errors import meant
from scalesearch.files import shown
from scalesearch.networks.arch import RENAMED

UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")
UNION_MEMBERS = ("Arch", "Steps", "str")  # which pydantic names beside the keys


def renewed(content: Any) -> Any:
    """What a YAML file holds, with the columns of rows by their names of today (arch.RENAMED)."""
    if isinstance(content, list):
        return [renewed(item) for item in content]
    if not isinstance(content, dict):
        return content
    names = RENAMED if "block" in content else {}
    return {names.get(key, key): renewed(value) for key, value in content.items()}


def explain(error: ValidationError, tables: Sequence[type[Any]]) -> str:
    """The first thing wrong, in one line: where, the rule, the value met, the nearest key.

    Keys are those of `tables`, the dataclasses that the file may hold.
    """
    # of what a union's members say, that of the one that was meant: it got furthest
    plain = [e for e in error.errors() if e["type"] != "string_type"] or error.errors()
    first = max(plain, key=lambda e: (len(e["loc"]), e["type"] in UNKNOWN_KEY))
    parts = [part for part in map(str, first["loc"]) if part not in UNION_MEMBERS]
    where = ".".join(part for part in parts if not part.startswith("tuple["))
    if first["type"] in UNKNOWN_KEY:
        known = sorted({field.name for table in tables for field in fields(table)})
        return f"{where} is not a key{meant(str(first['loc'][-1]), known, 0.5)}"
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}, got {shown(first['input'])}"
