"""Published accuracies: of models that exist, with their source, equal to the golden table."""

import csv
from pathlib import Path

import pytest

from scalesearch.families.reconcile import TABLE_2
from scalesearch.networks import zoo
from scalesearch.networks.accuracies import (
    ACCURACIES,
    EFFICIENTNET,
    PARAMETER_NOTES,
    TORCHVISION,
    published_accuracies,
)

MODELS_CSV = Path(__file__).parents[1] / "golden" / "models.csv"
WITH_TOP1 = [row for row in csv.DictReader(MODELS_CSV.open()) if row["imagenet_top1"]]


def test_every_row_is_of_a_model_of_the_zoo_and_has_a_source() -> None:
    for row in ACCURACIES:
        assert zoo.find(row.model).channels == 3
        assert row.source and 50 < row.top1 < 90
    assert len({(row.model, row.source) for row in ACCURACIES}) == len(ACCURACIES)
    for name in PARAMETER_NOTES:
        zoo.find(name)


def test_every_model_but_lenet5_has_a_published_accuracy() -> None:
    assert {name for name in zoo.MODELS if not published_accuracies(name)} == {"lenet5"}


@pytest.mark.parametrize("row", WITH_TOP1, ids=[row["model"] for row in WITH_TOP1])
def test_torchvisions_accuracies_are_those_of_the_golden_table(row: dict[str, str]) -> None:
    first = published_accuracies(row["model"])[0]
    assert first.source == TORCHVISION
    assert (first.resolution, first.top1) == (int(row["resolution"]), float(row["imagenet_top1"]))


def test_the_papers_accuracies_are_those_of_its_table_2() -> None:
    theirs = {row.model: row.top1 for row in ACCURACIES if row.source == EFFICIENTNET}
    assert theirs == {row.row: row.top1 for row in TABLE_2}
