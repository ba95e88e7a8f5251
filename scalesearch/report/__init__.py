"""Reports: a study's files as report.md and one self-contained report.html."""

from scalesearch.report.write import write_report

__all__ = ["write_report"]
