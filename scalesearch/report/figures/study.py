"""Which figures a study's report has, in the order of the page."""

from scalesearch.report.content import Content
from scalesearch.report.figures.accuracy import accuracy_against_flops
from scalesearch.report.figures.curves import learning_curves, seed_spread
from scalesearch.report.figures.figure import Figure
from scalesearch.report.figures.front import fronts
from scalesearch.report.figures.plan import nominal_against_measured
from scalesearch.report.figures.published import published_figures
from scalesearch.report.figures.standing import chances, differences
from scalesearch.report.figures.surface import surface
from scalesearch.report.figures.transfer import larger_losses, ranks


def figures_of(content: Content) -> list[Figure]:
    """Every figure that the study has data for."""
    trained = [row for row in content.candidates if row.n]
    figures = [nominal_against_measured(content)]
    if trained:
        figures += [accuracy_against_flops(content), seed_spread(content)]
    if any(not row.is_baseline for row in trained):
        figures.append(surface(content))
    if len(content.curves):
        figures.append(learning_curves(content))
    if content.selection:
        figures += [differences(content), chances(content)]
    if content.transfer is not None:
        figures += [larger_losses(content.transfer), ranks(content, content.transfer)]
    if content.front is not None:
        figures += fronts(content.front)
    return figures + published_figures()
