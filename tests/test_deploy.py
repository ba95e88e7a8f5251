"""The ready files for clusters: Ray's schema, shell syntax, and every command of ours in them."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import jsonschema
import pytest
import ray
import typer
import yaml

from scalesearch.cli import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.suffix != ".pyc" and path.is_file())


def test_ray_takes_the_launchers_file() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    content = yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())
    jsonschema.validate(content, schema)
    assert content["head_node_type"] in content["available_node_types"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "max_workers": "many"}, schema)


def test_the_job_is_one_of_kuberays() -> None:
    job = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]["rayClusterSpec"]
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned and spec["rayVersion"] == pinned[1]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert group["template"]["spec"]["containers"][0]["image"]


def test_the_shell_script_parses() -> None:
    subprocess.run(["bash", "-n", str(DEPLOY / "slurm.sh")], check=True)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_command_in_it_is_one_of_ours(path: Path) -> None:
    commands = typer.main.get_command(app)
    lines = re.findall(r"scalesearch (run [^\n#]*)", path.read_text())
    lines += [
        f"run {rest}"
        for rest in re.findall(r"(?:search\.py --|slurm\.sh) (--[^\n]*)", path.read_text())
    ]
    for line in lines:
        name, *arguments = [word for word in shlex.split(line) if word != "$@"]
        commands.commands[name].make_context(name, arguments)  # raises where an option is none
    assert lines or path.name == "search.py"
