"""What is nearly right: the answer says what was probably meant."""

from pathlib import Path

import pytest
from PIL import Image

from scalesearch.networks.files import dump_model, find_model
from tests.cli.test_cli import refused
from tests.conftest import TINY, Command


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a space, a study's space, a model, loose images and arrays."""
    (tmp_path / "mine.yaml").write_text(TINY)
    (tmp_path / "results" / "a").mkdir(parents=True)
    (tmp_path / "results" / "a" / "space.yaml").write_text(TINY)
    (tmp_path / "net.yaml").write_text(dump_model(find_model("lenet5")))
    (tmp_path / "loose").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / "loose" / f"{number}.png")
    (tmp_path / "scans.npz").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("plan mine.yml", ["did you mean mine.yaml?"]),
        ("plan mine", ["did you mean mine.yaml?"]),
        ("plan results/a", ["did you mean results/a/space.yaml?"]),
        ("plan EfficientNett", ["did you mean 'efficientnet'?"]),
        ("plan no/such.yaml", ["space no/such.yaml must be a readable file: No such file"]),
        ("cost net", ["did you mean net.yaml?"]),
        ("cost net.yml", ["did you mean net.yaml?"]),
        ("plan --data loose", ["did you mean imagefolder:loose?"]),
        ("plan --data scans.npz", ["did you mean npz:scans.npz?"]),
        ("plan --data imagefolder:loose", ["3 loose images: move each into a folder of its class"]),
        ("plan mine.yaml --budget 600MFLOPs", ["did you mean '600M' multiply-adds, or '300M'"]),
        (
            "run mine.yaml --policy adaptiv",
            ["--policy must be adaptive", "did you mean 'adaptive'?"],
        ),
        ("run mine.yaml --runner inlin", ["--runner must be", "did you mean 'inline'?"]),
        ("run mine.yaml --log tensorbord", ["--log must be", "did you mean 'tensorboard'?"]),
        ("run mine.yaml --dry-run --runner inlin", ["--runner must be", "mean 'inline'?"]),
        ("run mine.yaml --dry-run --log x,wandb", ["--log must be", "got 'x'"]),
        ("run mine.yaml --runner inline --log wandb", ["--log wandb is written by Ray's"]),
        ("export lenet5 --format onx", ["--format must be onnx", "did you mean 'onnx'?"]),
        (
            "scale --coefficients 1,2",
            ["--coefficients must be three numbers above zero, got '1,2'"],
        ),
        ("scale --coefficients nan,1,1", ["--coefficients must be numbers between -100 and 100"]),
        (
            "scale --coefficients 0.9,0.9,0.9 --phi 1",
            ["compound needs coefficients", "above 1, got 0.59"],
        ),
        ("scale --coefficients 1,1,1 --mode formula --budget 2x", ["--coefficients must change"]),
        ("scale --published --study results/a", ["--study must not be given beside published"]),
        ("scale --coefficients 1,2,1 --mode formulas", ["--mode must be", "mean 'formula'?"]),
        ("scale --coefficients 1,2,1 --phi one", ["--phi must be numbers"]),
        ("scale", ["--coefficients must be given"]),
        ("run mine.yaml --seeds 1", ["error: --seeds must be from 2 to 1,000, got 1\n"]),
        ("run mine.yaml --sweep-seeds -1", ["--sweep-seeds must be from 0 to 1,000, got -1"]),
        ("run mine.yaml --epochs 0", ["--epochs must be from 1 to 1,000,000, got 0"]),
        ("run mine.yaml --workers 0", ["--workers must be at least 1, got 0"]),
        ("run mine.yaml --gpus-per-trial -0.5", ["--gpus-per-trial must be at least 0, got -0.5"]),
        ("run mine.yaml --max-trials 0", ["--max-trials must be at least 1, got 0"]),
        ("run mine.yaml --max-hours nan", ["--max-hours must be at least 0, got nan"]),
        ("plan mine.yaml --latency 0", ["--latency must be at least 1, got 0"]),
        ("train lenet5 --data shapes --phi -1", ["--phi must be from 0 to 20, got -1"]),
        ("train lenet5 --data shapes --seeds 0", ["--seeds must be from 1 to 1,000, got 0"]),
        ("train lenet5 --data shapes --epochs 0", ["--epochs must be from 1 to 1,000,000, got 0"]),
        ("train lenet5 --data shapes --examples 0", ["--examples must be at least 1, got 0"]),
        ("train lenet5 --data shapes --latency 0", ["--latency must be at least 1, got 0"]),
        ("train lenet5 --data shapes --output-stride 0", ["--output-stride must be at least 1"]),
        ("evaluate lenet5 --examples 0", ["--examples must be at least 1, got 0"]),
        ("evaluate lenet5 --held-out 0", ["--held-out must be at least 1, got 0"]),
        ("cost lenet5 --resolution 0", ["--resolution must be at least 1, got 0"]),
        ("cost lenet5 --output-stride 0", ["output_stride must divide its own of 4", "got 0"]),
    ],
)
def test_it_is_said(scalesearch: Command, here: Path, typed: str, words: list[str]) -> None:
    before = sorted(here.rglob("*"))
    refused(scalesearch(*typed.split()), *words)
    assert sorted(here.rglob("*")) == before


def test_a_budget_written_otherwise_is_the_same_study(scalesearch: Command, here: Path) -> None:
    plan = ("plan", "mine.yaml", "--json", "--budget")
    assert scalesearch(*plan, "2 X").stdout == scalesearch(*plan, "2x").stdout != ""
    dry = scalesearch("run", "mine.yaml", "--dry-run", "--workers", 1, "--budget", "2X")
    assert "results/mine-shapes-2x" in dry.stdout
