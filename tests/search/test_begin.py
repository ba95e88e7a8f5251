"""Training that begins from weights: an earlier member's, or torchvision's state dict."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scalesearch.families.cards import find_card
from scalesearch.families.trained import find_training
from scalesearch.networks import zoo
from scalesearch.networks.blocks import Network
from scalesearch.networks.files import dump_model
from scalesearch.networks.models import build_model, scale_model
from scalesearch.networks.scaling import Scale
from scalesearch.networks.weights import (
    read_any_weights,
    renamed,
    start_from,
    torchvision_state,
)
from scalesearch.search.members import run_training
from scalesearch.search.options import RunOptions
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.spaces.files import load_space
from tests.conftest import TINY

RESNET = replace(zoo.find("resnet18_w0.125"), resolution=32)


def test_torchvisions_state_dict_fits_other_classes_and_wider_layers(tmp_path: Path) -> None:
    network = build_model(RESNET)
    assert isinstance(network, Network)
    state = torchvision_state(network)
    torch.save(state, tmp_path / "resnet.pth")
    weights = read_any_weights(tmp_path / "resnet.pth")
    mine = build_model(replace(RESNET, classes=10))
    found = start_from(mine, weights, "resnet.pth")
    own = network.state_dict()
    assert len(found.whole) == len(own) - 2 and not found.grown
    for name, value in mine.state_dict().items():
        assert torch.equal(value, own[name]) == (name in found.whole)
    wider = build_model(scale_model(RESNET, Scale(width=2.0)))
    grown = start_from(wider, weights, "resnet.pth").grown
    first = next(name for name in grown if name.endswith("weight"))
    part = tuple(slice(n) for n in own[first].shape)
    assert torch.equal(wider.state_dict()[first][part], own[first])


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"a": [1, 2]}, tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("list.pth", "text.pth", "missing.pth", "missing.safetensors"):
        with pytest.raises(ValueError, match="must be"):
            read_any_weights(tmp_path / name)
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="none fits"):
        start_from(build_model(RESNET), read_any_weights(tmp_path / "other.pth"), "other.pth")


def test_a_network_goes_on_from_where_another_training_left_it(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "still.yaml").write_text(
        TINY.replace("batch_size: 50", "batch_size: 50, learning_rate: 1.0e-12")
    )
    model = load_space(str(tmp_path / "tiny.yaml")).model
    assert not isinstance(model, str)
    (tmp_path / "small.yaml").write_text(dump_model(model))
    options = TrainOptions(
        targets=(str(tmp_path / "small.yaml"),),
        space=str(tmp_path / "tiny.yaml"),
        seeds=1,
        results=tmp_path,
        name="first",
    )
    training, folder = prepare_training(options)
    run_training(training, folder, RunOptions(runner="inline"), quiet=True)
    weights = folder / "weights" / "small-seed0.safetensors"
    first = find_card(weights)
    still = replace(options, space=str(tmp_path / "still.yaml"), start=weights, name="second")
    training, later = prepare_training(still)
    run_training(training, later, RunOptions(runner="inline"), True, weights)
    second = find_card(later / "weights" / weights.name)
    assert first is not None and second is not None
    assert second.accuracy == pytest.approx(first.accuracy, abs=0.05), "statistics move a little"
    given, kept = (read_any_weights(path) for path in (weights, later / "weights" / weights.name))
    for name, value in given.items():
        if name.endswith("weight"):
            assert torch.allclose(kept[name], value, atol=1e-8)
    found = find_training(later)
    assert found is not None and found.start is not None
    assert "begins from small-seed0.safetensors" in found.remarks[-1]
    with pytest.raises(ValueError, match="must be another for another training: start was"):
        training, again = prepare_training(replace(still, start=None))
        run_training(training, again, RunOptions(runner="inline"), quiet=True)
    assert renamed(build_model(model), given) is given
