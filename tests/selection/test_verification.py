"""The verification: what it says of its law, and of networks that are larger than the images."""

from dataclasses import replace
from pathlib import Path

import pytest

from scalesearch.selection.verification import LawFound, find_verification

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def law() -> LawFound:
    """A law that trials support, which errs less than what is simpler."""
    found = find_verification(GOLDEN)
    assert found is not None
    return replace(
        found.law, supported=True, error=0.01, error_best_so_far=0.02, error_log_linear=0.03
    )


def test_a_law_that_errs_more_than_what_is_simpler_predicts_nothing(law: LawFound) -> None:
    assert law.why_no_law is None
    worse = replace(law, error=0.02)
    assert worse.why_no_law == (
        "at phi = 2 the law errs by 0.0200, the same candidate's loss at phi = 1 by 0.0200"
    )
    alone = replace(law, error=0.02, error_best_so_far=0.04, error_log_linear=0.015)
    assert alone.why_no_law == (
        "at phi = 2 the law errs by 0.0200, a log-linear fit of compute alone by 0.0150"
    )
    said = replace(law, supported=False).why_no_law
    assert said is not None
    assert said.startswith("the trials support no law of shape (linear P = 0.078, quadratic P = ")


def test_networks_that_ask_for_more_pixels_than_there_are_are_counted() -> None:
    found = find_verification(GOLDEN)
    assert found is not None
    assert len(found.networks) == 12  # of which resolution alone is a candidate, too
    sides = {network.key: network.resolution for network in found.networks}.values()
    assert sum(side > 28 for side in sides) == 4 and max(sides) == 49
    said = found.beyond(28)
    assert said is not None
    assert said.startswith("4 of 11 networks ask for up to 49 px and the images have 28:")
    assert found.beyond(49) is None and found.beyond(None) is None
