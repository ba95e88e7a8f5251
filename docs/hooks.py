"""What mkdocs runs: pages made from the code and files outside docs/, so that nothing drifts."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# what pages link to outside docs/
RESULTS = (
    "results/lattice-fashion-mnist/*.md",
    "results/lattice-fashion-mnist/figures/*",
    "results/reference/efficientnet-fashion-mnist-2x/report.html",
    "results/reference/efficientnet-fashion-mnist-2x/figures/*",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, with those that are made here."""
    pages = {
        "reference/commands.md": commands(),
        "reference/space-files.md": space_files(),
        "notebook.md": notebook(ROOT / "docs" / "notebook.ipynb"),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for pattern in RESULTS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page, its links to results/ leading to where they are in the site."""
    return re.sub(r"\]\(\.\./((?:\.\./)*results/)", r"](\1", markdown)


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
    from scalesearch.spaces.files import space_schema

    schema = space_schema()
    tables = {"Space": schema, **schema["$defs"]}
    order = ("Space", "Proxy", "Recipe", "Grid", "Steps", "Arch", "Stage", "Rules", "Hidden")
    names = [*order, *sorted(set(tables) - set(order))]
    parts = [(ROOT / "docs" / "reference" / "space-files.intro").read_text(encoding="utf-8")]
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


def notebook(path: Path) -> str:
    """A notebook as a page: its text, its code, what the code printed."""
    parts = []
    for part in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(part["source"])
        parts.append(source if part["cell_type"] == "markdown" else fenced("python", source))
        for output in part.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain") or ""
            if text := "".join(text).rstrip():
                parts.append(fenced("text", text))
    return "\n\n".join(parts) + "\n"


def fenced(language: str, text: str) -> str:
    """A code block."""
    return f"```{language}\n{text}\n```"
