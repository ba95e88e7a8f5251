"""Clusters of several nodes: a study on them, a node lost in the middle, who is let in."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.runtime_env.runtime_env import _merge_runtime_env

from scalesearch.studies import read_trials
from scalesearch.trials.runners.cluster import reachable, source_of, travelling
from tests.chaos import command, exact
from tests.cluster import Cluster, cluster
from tests.search.test_members import COEFFICIENTS, same_weights, trained

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with cluster("one", "two") as made:
        yield made


@pytest.mark.long
def test_a_node_is_lost_in_the_middle_and_the_study_ends_exactly(
    nodes: Cluster, tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    line = command(tiny, tmp_path, "lost", "--address", nodes.address)
    driver = subprocess.Popen(
        line, env=nodes.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = tmp_path / "lost"
    while driver.poll() is None and len(list(folder.glob("losses/*.npy"))) < 2:
        time.sleep(0.05)
    assert driver.poll() is None, driver.communicate()
    nodes.kill("two", "raylet")
    said = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    exact(folder, undisturbed)
    assert read_trials(folder)["node"].notna().any(), "where each trial ran is on record"


@pytest.mark.long
def test_a_node_is_lost_while_a_family_is_trained_and_it_ends_exactly(
    nodes: Cluster, finished: Path, undisturbed: Path, tmp_path: Path
) -> None:
    alone = trained(Path(shutil.copytree(undisturbed, tmp_path / "alone")), seeds=2)
    if nodes.process("two", "raylet") is None:  # it was lost to a study
        nodes.stop("two")
        nodes.join("two")
        nodes.ready()
    line = [sys.executable, "-m", "scalesearch", "train", str(finished), "--phi", "1"]
    line += ["--seeds", "2", "--coefficients", COEFFICIENTS, "--address", nodes.address]
    driver = subprocess.Popen(
        line, env=nodes.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = finished / "front"
    while driver.poll() is None and not list(folder.glob("weights/*.safetensors")):
        time.sleep(0.05)
    assert driver.poll() is None, driver.communicate()
    nodes.kill("two", "raylet")
    said = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    exact(folder, alone)
    same_weights(folder, alone)


@pytest.mark.long
def test_a_wrong_token_is_refused_in_one_line(nodes: Cluster, tiny: Path, tmp_path: Path) -> None:
    wrong = {**nodes.environment, "RAY_AUTH_TOKEN": "0" * 40}
    line = command(tiny, tmp_path, "refused", "--address", nodes.address)
    ran = subprocess.run(line, env=wrong, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2
    errors = [said for said in ran.stderr.splitlines() if said.startswith("error: ")]
    assert len(errors) == 1 and "RAY_AUTH_TOKEN" in errors[0]
    assert "Traceback" not in ran.stderr
    assert "RUNNING" not in read_trials(tmp_path / "refused")["state"].tolist()


def test_addresses_that_cannot_be_are_refused() -> None:
    for address in ("127.0.0.1:1", "nowhere", "host:port", "ray://127.0.0.1:10001", "::1:99999"):
        with pytest.raises(ValueError, match=r"address must be"):
            reachable(address)
    reachable("auto")


def test_a_users_module_travels_and_an_installed_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net_of_mine.py").write_text("def make(d, w, r): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert source_of("python:net_of_mine:make") == tmp_path / "net_of_mine.py"
    assert (
        source_of("python:scalesearch.networks.models:build_model")
        == Path(sys.modules["scalesearch"].__file__ or "").parent
    )
    assert source_of("python:no_such_module_of_mine:make") is None


def test_only_the_named_module_travels_and_a_job_keeps_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "net_that_travels.py").write_text("")
    (tmp_path / "numpy.py").write_text("")
    nothing, module = tmp_path / "nothing", tmp_path / "module"
    nothing.mkdir(), module.mkdir()
    assert travelling((), nothing)["working_dir"] == str(nothing) and not [*nothing.iterdir()]
    found = travelling(["python:net_that_travels:make"], module)
    assert found["working_dir"] == str(module)
    assert [path.name for path in module.iterdir()] == ["net_that_travels.py"]
    job = {"runtime_env": {"working_dir": "gcs://deploy.zip"}}
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, json.dumps(job))
    both = _merge_runtime_env(job["runtime_env"], travelling((), nothing), override=False)
    assert both is not None and both["working_dir"] == "gcs://deploy.zip"
