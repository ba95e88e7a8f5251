"""What mkdocs runs: the notebook as a page, and files outside docs/ that pages link to."""

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# what pages link to outside docs/
RESULTS = (
    "results/calibration.md",
    "results/lattice-fashion-mnist/*.md",
    "results/lattice-fashion-mnist/figures/*",
    "results/reference/efficientnet-fashion-mnist-2x/report.html",
    "results/reference/efficientnet-fashion-mnist-2x/figures/*",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, with those that are made here."""
    pages = {
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
    """The page, its links to results/ and to the notebook leading to where they are in the site."""
    markdown = re.sub(r"\]\(\.\./((?:\.\./)*results/)", r"](\1", markdown)
    return markdown.replace("notebook.ipynb)", "notebook.md)")


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
