"""What the terminal shows: tables within 100 columns on stdout, lines about a run on stderr."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scalesearch.terminal import rich_text


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on stdout, at most 100 columns wide."""
    out = Console(width=min(100, Console().width) if sys.stdout.isatty() else 100)
    table = Table(title=rich_text(title), title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(rich_text(cell(value)) for value in row))
    out.print(table)


def cell(value: Any) -> str:
    """A value as a table shows it; four digits are enough for a reader."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " ".join(cell(item) for item in value)
    return "" if value is None else str(value)
