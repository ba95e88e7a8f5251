"""Write the pages of commands and of space files, and the schema, from the code: make reference.

The pages are in the repository, so that links to them lead somewhere outside the site as well.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from scalesearch.spaces.files import space_schema

ROOT = Path(__file__).parents[1]
INTRODUCTION = """
# Space files

A space is a YAML file: a network, the coefficients to try, how candidates are made cheap. The
shipped ones are `search_spaces/*.yaml`; a file of yours is named in place of theirs. A key that
does not exist is an error, which names the nearest.

`scalesearch spaces --schema` prints what follows as a JSON schema, by which an editor completes and
checks a space as you write it. With the YAML extension of VS Code, or any editor that has the YAML
language server, write the schema beside the file and name it in the first line:

    # yaml-language-server: $schema=schema.json

The shipped spaces have that line, and `search_spaces/schema.json` stands beside them.
"""


def pages() -> dict[Path, str]:
    """The content of every file that is made here."""
    return {
        ROOT / "docs" / "reference" / "commands.md": commands(),
        ROOT / "docs" / "reference" / "space-files.md": space_files(),
        ROOT / "search_spaces" / "schema.json": json.dumps(space_schema(), indent=2) + "\n",
    }


def commands() -> str:
    """The reference of the command line, by typer, from the commands themselves."""
    command = [sys.executable, "-m", "typer", "scalesearch.cli", "utils", "docs"]
    made = subprocess.run(
        [*command, "--name", "scalesearch", "--title", "Commands"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # the list of commands cuts their first lines off; the headings that follow are list enough
    return re.sub(r"\*\*Commands\*\*:.*?(?=^## )", "", made.stdout, flags=re.DOTALL | re.MULTILINE)


def space_files() -> str:
    """The reference of space files, from their JSON schema."""
    schema = space_schema()
    tables = {"Space": schema, **schema["$defs"]}
    order = ("Space", "Proxy", "Recipe", "Grid", "Steps", "Arch", "Stage", "Rules", "Hidden")
    names = [*order, *sorted(set(tables) - set(order))]
    parts = [INTRODUCTION.strip()]
    for name in names:
        required = tables[name].get("required", [])
        rows = [
            f"| `{key}` | {kind(field)} | {default(key, field, required)} "
            f"| {cell(field['description'])} |"
            for key, field in tables[name]["properties"].items()
        ]
        head = ["| key | type | default | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"## {name}", "", tables[name]["description"], "", *head, *rows]))
    return "\n\n".join(parts) + "\n"


def kind(field: dict[str, Any]) -> str:
    """A field's type in words, with its bounds; other tables as links."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(kind(one) for one in field["anyOf"] if one != {"type": "null"})
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "prefixItems" in field:
        return f"[{', '.join(kind(one) for one in field['prefixItems'])}]"
    if field.get("type") == "array":
        return f"list of {kind(field['items'])}"
    if isinstance(inner := field.get("additionalProperties"), dict):
        return f"name: {kind(inner)}"
    signs = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = ", ".join(f"{word} {field[key]:g}" for key, word in signs.items() if key in field)
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}
    name = words.get(field["type"], field["type"])
    return f"{name} {bounds}".strip()


def default(key: str, field: dict[str, Any], required: list[str]) -> str:
    """What a key is where it is left out."""
    if key in required:
        return "required"
    value = field.get("default")
    if value is None or isinstance(value, dict | list):
        return "that table's" if value else ""
    return f"`{json.dumps(value)}`"


def cell(text: str) -> str:
    """Text that cannot break out of a Markdown table's cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
