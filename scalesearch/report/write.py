"""Write report.md and report.html."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from scalesearch.files import short, write_text
from scalesearch.report.content import read_content
from scalesearch.report.figures import draw_figures, name_of


def write_report(folder: Path) -> Path:
    """The path of report.html, written beside report.md and figures/ from a study's files."""
    content = read_content(folder)
    figures = draw_figures(content, folder / "figures")
    environment = Environment(
        loader=PackageLoader("scalesearch.report"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": short, "percent": percent, "name": name_of, "cell": md_cell}
    for kind in ("md", "html"):
        drawn = {name: Markup(svg) for name, svg in figures.items()}
        text = environment.get_template(f"report.{kind}.j2").render(c=content, figures=drawn)
        write_text(folder / f"report.{kind}", text)
    return folder / "report.html"


def percent(value: float | None) -> str:
    """A share in percent with two decimals; a dash for none."""
    return "–" if value is None else f"{100 * value:.2f} %"


def md_cell(value: Any) -> str:
    """Text that cannot break out of a Markdown table's cell."""
    text = " ".join(str(value).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
