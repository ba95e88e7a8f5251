"""Code runs where the user named it: a study that was not made here asks first."""

import shutil
from pathlib import Path

import pytest

import scalesearch as ss
from scalesearch.networks.custom import custom_model
from scalesearch.networks.files import dump_model
from scalesearch.trusted import note_path, noted, study_of
from tests.conftest import Command

EVIL = """
from pathlib import Path
from torch import nn

Path("ran").write_text(__name__)

def make(depth, width, resolution):
    out = round(8 * width)
    blocks = [nn.Conv2d(1 if i == 0 else out, out, 3, 2, 1) for i in range(round(2 * depth))]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out, 10))
"""
SPACE = """
model: python:{module}:make
resolution: 12
grid: {{alpha: [1.0, 1.5], beta: [1.0, 1.25, 1.5], gamma: [1.0, 1.25]}}
tolerance: 0.3
proxies:
  quick: {{data: shapes, train_examples: 100, val_examples: 50, recipe: {{epochs: 1}}}}
"""


def strangers(folder: Path, module: str) -> Path:
    """A study as one comes from somebody else, with the module that it names beside it."""
    study = folder / "results/s"
    (study / "family").mkdir(parents=True)
    (folder / f"{module}.py").write_text(EVIL)
    (study / "space.yaml").write_text(SPACE.format(module=module))
    (study / "study.journal").write_text("")
    model = dump_model(custom_model(f"python:{module}:make", 12))
    (study / "family/s_phi1.yaml").write_text(model)
    return study


COMMANDS = [
    ("select", "results/s"),
    ("verify", "results/s", "--runner", "inline"),
    ("train", "results/s", "--runner", "inline"),
    ("train", "results/s/family/s_phi1.yaml", "--data", "shapes", "--runner", "inline"),
    ("plan", "results/s/space.yaml"),
    ("run", "results/s/space.yaml", "--runner", "inline"),
    ("scale", "results/s/space.yaml", "--coefficients", "1.2,1.1,1.15"),
    ("scale", "--study", "results/s", "--coefficients", "1.2,1.1,1.15"),
    ("cost", "results/s/family/s_phi1.yaml"),
    ("export", "results/s/family/s_phi1.yaml", "--format", "safetensors", "--out", "out"),
]


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: " ".join(line[:2]))
def test_a_strangers_study_runs_nothing(
    tmp_path: Path, scalesearch: Command, line: tuple[str, ...]
) -> None:
    strangers(tmp_path, "strange")
    found = scalesearch(*line)
    assert found.returncode == 2 and found.stderr.count("\n") == 1
    assert found.stderr.startswith("error: --trust must be given to run python:strange:make")
    assert not (tmp_path / "ran").exists()


def test_what_the_user_names_runs_and_so_does_what_is_trusted(
    tmp_path: Path, scalesearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    study = strangers(tmp_path, "trusted")
    model = "results/s/family/s_phi1.yaml"
    found = scalesearch("cost", model, "--trust")
    assert found.returncode == 0 and (tmp_path / "ran").read_text() == "trusted", found.stderr
    assert scalesearch("cost", model).returncode == 0, "it is asked for once"
    # for the functions that were there: what is put in their place later has to ask again
    (study / "space.yaml").write_text(SPACE.format(module="another"))
    assert "--trust must be given" in scalesearch("plan", "results/s/space.yaml").stderr
    # a copy of it is another study
    shutil.copytree(study, tmp_path / "results/copy")
    assert "--trust must be given" in scalesearch("cost", "results/copy/family/s_phi1.yaml").stderr
    # outside of a study a file is the user's own to name, and so is a function
    (tmp_path / "own.yaml").write_text(SPACE.format(module="trusted"))
    assert scalesearch("plan", "own.yaml").returncode == 0
    assert scalesearch("cost", "python:trusted:make", "--resolution", 12).returncode == 0


def test_a_study_that_was_made_here_runs_on(tmp_path: Path, scalesearch: Command) -> None:
    strangers(tmp_path, "made")
    (tmp_path / "own.yaml").write_text(SPACE.format(module="made"))
    line = ("run", "own.yaml", "--runner", "inline", "--name", "mine", "--max-trials", "1")
    found = scalesearch(*line)
    assert found.returncode == 0, found.stderr
    study = tmp_path / "results/mine"
    assert noted(study) == {"python:made:make"}
    found = scalesearch("select", study)
    assert "trust" not in found.stderr
    note_path(study).write_text("{")
    assert "--trust must be given" in scalesearch("select", study).stderr
    ss.trust(study)
    assert "trust" not in scalesearch("select", study).stderr


def test_a_file_is_of_the_study_that_it_lies_in(tmp_path: Path) -> None:
    study = strangers(tmp_path, "any")
    for name in ("space.yaml", "family/s_phi1.yaml", "phi2/family/x.yaml", ""):
        assert study_of(study / name) == study.resolve()
    (tmp_path / "link").symlink_to(study / "space.yaml")
    assert study_of(tmp_path / "link") == study.resolve(), "wherever it is named from"
    assert study_of(tmp_path / "own.yaml") is None


def test_the_front_of_a_study_is_the_study_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = strangers(tmp_path, "evil_front")
    (study / "plan.json").write_text("{}")
    front = study / "front"
    (front / "members").mkdir(parents=True)
    (front / "study.journal").write_text("")
    member = shutil.copy(study / "family/s_phi1.yaml", front / "members/s_phi1.yaml")
    assert study_of(Path(member)) == study_of(front) == study
    with pytest.raises(ValueError, match=f"which {study} names"):
        ss.cost(member)
    assert not Path("ran").exists()
    ss.trust(member)
    assert ss.cost(member).params > 0
