"""Evaluation: the accuracy that training saw, by every form that a trained network takes."""

from pathlib import Path

import numpy as np
import pytest
import torch

import scalesearch as ss
from scalesearch.data import load
from scalesearch.export import ExportOptions, export
from scalesearch.export.evaluate import (
    EvaluateOptions,
    Ready,
    balanced_accuracy,
    calibration_error,
    class_rows,
    evaluate,
    measure,
)
from scalesearch.export.formats import imported
from scalesearch.families.cards import Card, find_card
from scalesearch.networks.files import dump_model
from scalesearch.networks.weights import read_weights
from scalesearch.search.members import run_training
from scalesearch.search.options import RunOptions
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.spaces.files import load_space
from tests.conftest import TINY, Command


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML file of a network that was trained, its weights in the folder beside."""
    place = tmp_path_factory.mktemp("trained")
    (place / "tiny.yaml").write_text(TINY)
    (place / "small.yaml").write_text(dump_model(load_space(str(place / "tiny.yaml")).model))
    options = TrainOptions(
        targets=(str(place / "small.yaml"),),
        space=str(place / "tiny.yaml"),
        seeds=1,
        results=place,
        name="one",
    )
    training, folder = prepare_training(options)
    run_training(training, folder, RunOptions(runner="inline"), quiet=True)
    return folder / "members" / "small.yaml"


def card_of(member: Path) -> Card:
    found = find_card(member.parent.parent / "weights" / "small-seed0.safetensors")
    assert found is not None
    return found


def test_a_member_its_onnx_and_its_python_file_have_the_accuracy_of_training(
    member: Path, tmp_path: Path
) -> None:
    card = card_of(member)
    found = evaluate(EvaluateOptions(model=str(member)))
    assert (found.accuracy, found.images) == (card.accuracy, 100)
    assert found.loss == pytest.approx(card.loss, rel=1e-6)
    assert sum(map(sum, found.confusion)) == found.images
    diagonal = sum(found.confusion[i][i] for i in range(len(found.classes)))
    assert diagonal / found.images == found.accuracy <= found.top5
    exported = export(ExportOptions(str(member), ("onnx", "python"), tmp_path))
    assert f"accuracy {card.accuracy:.2%} on 100 images held out" in exported.weights
    onnx = evaluate(EvaluateOptions(model=str(tmp_path / "small.onnx")))
    assert onnx.confusion == found.confusion and onnx.loss == pytest.approx(found.loss, rel=1e-4)
    network = imported(tmp_path / "small.py", "Small")()
    network.load_state_dict(read_weights(member.parent.parent / "weights/small-seed0.safetensors"))
    ready = Ready("small", "", network.eval(), 12, None, None, None)
    data = load(card.data, train_examples=150, val_examples=100)
    assert measure(ready, data, card.data, "val").confusion == found.confusion


def test_a_member_is_built_with_its_weights_unless_told_otherwise(member: Path) -> None:
    card = card_of(member)
    weights = read_weights(member.parent.parent / "weights" / f"small-seed{card.seed}.safetensors")
    for given in (None, True, member.parent.parent / "weights/small-seed0.safetensors"):
        state = ss.build(member, given).state_dict()
        assert all(torch.equal(state[name], value) for name, value in weights.items())
    fresh = ss.build(member, False).state_dict()
    assert any(not torch.equal(fresh[name], value) for name, value in weights.items())
    with pytest.raises(ValueError, match="weights must be a file, for lenet5 has none beside it"):
        ss.build("lenet5", weights=True)


def test_calibration_and_class_rows_are_arithmetic() -> None:
    # a bin of confidence 0.9 of which half are right, one of 0.5 of which all are: three to one
    confidence, right = np.array([0.9] * 6 + [0.5] * 2), np.array([1, 0] * 3 + [1, 1], float)
    assert calibration_error(confidence, right) == pytest.approx(0.75 * 0.4 + 0.25 * 0.5)
    rows = class_rows(("a", "b", "c"), np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))
    assert [(row.recall, row.precision) for row in rows] == [
        (3 / 4, 3 / 5),
        (4 / 6, 4 / 5),
        (None, None),
    ]
    assert balanced_accuracy(rows) == pytest.approx((3 / 4 + 4 / 6) / 2), "accuracy is 7 of 10"


def test_evaluate_prints_classes_and_says_what_is_missing(
    member: Path, scalesearch: Command
) -> None:
    said = scalesearch("evaluate", member)
    assert f"accuracy {card_of(member).accuracy:.2%}" in said.stdout, said.stderr
    assert "expected calibration error" in said.stdout
    assert scalesearch("evaluate", "lenet5").stderr.startswith("error: --weights must be given")
    unknown = scalesearch("evaluate", "nosuch").stderr
    assert unknown.startswith("error: a model must be one of") and "'nosuch'" in unknown
    wrong = scalesearch("evaluate", member, "--data", "npz:nothing.npz").stderr
    assert wrong.startswith("error: npz:") and wrong.count("\n") == 1
    assert "must be an ONNX file" in scalesearch("evaluate", "none.onnx").stderr
