"""Write a study's report: HTML, Markdown, PDF or CSV, and its figures as SVG and PNG."""

from pathlib import Path

import pandas as pd

from scalesearch.errors import check_choice
from scalesearch.files import write_csv, write_text
from scalesearch.report.content import Content, read_content
from scalesearch.report.page import render_html, render_md
from scalesearch.report.pdf import print_pdf
from scalesearch.scratch import all_or_none, finish

FORMATS = ("html", "md", "pdf", "csv")
NETWORK = (
    *("alpha", "beta", "gamma", "nominal", "ratio", "resolution"),
    *("flops", "params", "activations"),
)
TRAINED = ("n", "loss", "accuracy", "accuracy_low", "accuracy_high", "seconds")
STANDING = ("p_best", "regret", "difference", "in_set")


def write_report(folder: Path, kind: str | None = None) -> Path:
    """The path of the report of that format, written from a study's files; report.html by default.

    HTML and Markdown are written together, beside figures/. Raises ValueError for a format that
    is none, and where the directory holds no plan.
    """
    check_format(kind)
    finish(folder)
    if kind == "csv":
        write_csv(folder / "report.csv", candidate_table(read_content(folder)))
        return folder / "report.csv"
    with all_or_none(folder) as new:
        write_pages(folder, new)
    if kind == "pdf":
        return print_pdf(folder / "report.html")
    return folder / f"report.{kind or 'html'}"


def write_pages(folder: Path, new: Path) -> None:
    """Write a study's report into a directory whose files are to be put in the study's in one
    piece, as if those that are in it already were there.
    """
    content = read_content(folder, new)
    # altair takes a third of a second to import, and most commands draw nothing
    from scalesearch.report.figures import draw, figures_of

    drawn = draw(figures_of(content), new / "figures")
    write_text(new / "report.md", render_md("report.md.j2", c=content, figures=drawn))
    write_text(new / "report.html", render_html("report.html.j2", drawn, c=content))


def check_format(kind: str | None) -> None:
    """Raise ValueError for a format that is none of FORMATS."""
    if kind is not None:
        check_choice("format", kind, FORMATS)


def candidate_table(content: Content) -> pd.DataFrame:
    """The candidates and the baseline as a flat table, best first."""
    rows = []
    for row in content.candidates:
        low, high = row.standing.interval if row.standing else (None, None)
        rows.append(
            {"key": row.key, "name": row.name, "group": row.group}
            | {name: getattr(row.network, name) for name in NETWORK}
            | {name: getattr(row, name) for name in TRAINED}
            | {
                "depths": " ".join(map(str, row.network.depths)),
                "widths": " ".join(map(str, row.network.widths)),
            }
            | {name: getattr(row.standing, name, None) for name in STANDING}
            | {"difference_low": low, "difference_high": high}
        )
    table = pd.DataFrame(rows)
    if not content.own:
        return table
    table = table.drop(columns=["accuracy", "accuracy_low", "accuracy_high"])
    return table.rename(columns={"loss": content.metric.name})
