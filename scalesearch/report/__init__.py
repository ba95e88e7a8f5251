"""Reports: a study's files as one self-contained HTML page, Markdown, PDF or CSV."""

from scalesearch.report.compare import write_comparison
from scalesearch.report.front import write_front_report
from scalesearch.report.write import write_pages, write_report

__all__ = ["write_comparison", "write_front_report", "write_pages", "write_report"]
