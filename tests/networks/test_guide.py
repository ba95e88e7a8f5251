"""CONTRIBUTING.md's steps to a family with a new block, done in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scalesearch.export.formats import imported

ROOT = Path(__file__).parents[2]
BLOCKS = "BLOCKS: dict[str, Block] = {\n"
IN_THE_COPY = """
import sys, torch
import scalesearch
from scalesearch.cli import main
from scalesearch.export.check import example_images
from scalesearch.networks.cost import measure
from scalesearch.networks.count import count
from scalesearch.networks.zoo import find

torch.set_num_threads(1)
assert count(find("shuffled")) == measure(scalesearch.build("shuffled"), (3, 64, 64))
for line in (
    "cost shuffled",
    "plan shuffled --budget 2x --proxy quick",
    "export shuffled --format python,safetensors --out away",
):
    sys.argv = ["scalesearch", *line.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, line
images = example_images(3, 64)
with torch.no_grad():
    logits = scalesearch.build("away").eval()(images)
torch.save({"images": images, "logits": logits}, "logits.pt")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A directory with the package and the spaces, and in them what the guide shows."""
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("scalesearch", "search_spaces"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=without)
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    for file, code in re.findall(r"```python\n# (\S+)\n(.*?)```", guide, re.DOTALL):
        assert not (tmp_path / file).exists()
        (tmp_path / file).write_text(code)
    blocks = tmp_path / "scalesearch/networks/blocks/blocks.py"
    (entry,) = re.findall(r'`("shuffle": Block.*?,)`', guide)
    line = "from scalesearch.networks.blocks.shuffle import shuffle"
    blocks.write_text(blocks.read_text().replace(BLOCKS, f"{line}\n{BLOCKS}    {entry}\n"))
    space = (tmp_path / "search_spaces/mobilenet_v1.yaml").read_text()
    space = space.replace("model: mobilenet_v1", "model: shuffled")
    (tmp_path / "search_spaces/shuffled.yaml").write_text(space)
    return tmp_path


def run_in(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in that directory, with the package that is there."""
    command = [sys.executable, *arguments]
    env = os.environ | {"PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)


def test_a_family_with_a_new_block_is_costed_planned_and_exported(copy: Path) -> None:
    ran = run_in(copy, "-c", IN_THE_COPY)
    assert (ran.returncode, ran.stderr) == (0, "")
    source = (copy / "away/shuffled.py").read_text()
    assert "Shuffle(style, 24, 48, groups=3, stride=2)," in source
    assert "scalesearch" not in "".join(re.findall(r"^(?:from|import) .*", source, re.MULTILINE))
    network = imported(copy / "away/shuffled.py", "Shuffled")()
    network.load_state_dict(load_file(copy / "away/shuffled.safetensors"))
    expected = torch.load(copy / "logits.pt", weights_only=True)
    with torch.no_grad():
        logits = network.eval()(expected["images"])
    assert expected["logits"].abs().max() > 0.1
    torch.testing.assert_close(logits, expected["logits"], rtol=0, atol=1e-4)


def test_two_models_of_one_name_are_refused(copy: Path) -> None:
    zoo = copy / "scalesearch/networks/zoo"
    (zoo / "again.py").write_text((zoo / "mobilenet_v1.py").read_text())
    ran = run_in(copy, "-m", "scalesearch", "cost", "mobilenet_v1")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: a model's name must be its own in the zoo, got 'mobilenet_v1' in both again.py and "
        "mobilenet_v1.py: rename one\n"
    )
