"""The report of networks that were trained without a study."""

from pathlib import Path

import pandas as pd

from scalesearch.families.front import find_front
from scalesearch.files import plain, write_csv, write_text
from scalesearch.report.page import render_html, render_md
from scalesearch.report.pdf import print_pdf
from scalesearch.report.write import check_format


def write_front_report(folder: Path, kind: str | None = None) -> Path:
    """The path of the report of a training that is no study's: report.html unless told otherwise.

    Raises ValueError where none of its networks has been trained to the end, and for a format that
    is none.
    """
    check_format(kind)
    front = find_front(folder)
    if front is None:
        raise ValueError(f"{folder} must have a network that was trained to its end, got none yet")
    if kind == "csv":
        write_csv(folder / "report.csv", pd.DataFrame([plain(row) for row in front.rows]))
        return folder / "report.csv"
    # altair takes a third of a second to import, and most commands draw nothing
    from scalesearch.report.figures.draw import draw
    from scalesearch.report.figures.front import fronts

    drawn = draw(fronts(front), folder / "figures")
    write_text(folder / "report.md", render_md("front.md.j2", front=front, figures=drawn))
    write_text(folder / "report.html", render_html("front.html.j2", drawn, front=front))
    if kind == "pdf":
        return print_pdf(folder / "report.html")
    return folder / f"report.{kind or 'html'}"
