"""The figures of a report: one Vega-Lite specification each, drawn as HTML, SVG and PNG."""

from scalesearch.report.figures.draw import Drawn, draw
from scalesearch.report.figures.figure import Figure
from scalesearch.report.figures.study import figures_of

__all__ = ["Drawn", "Figure", "draw", "figures_of"]
