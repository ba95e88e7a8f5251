"""The commands of a study: run to its end, limited, continued, looked at again, verified."""

import io
import json
import re
import shlex
import shutil
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from scalesearch.cli import main
from scalesearch.cli.show import show_answer
from scalesearch.families.of_study import family_of_study
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.document import read_plan
from scalesearch.search.options import RunOptions
from scalesearch.search.run import Finished
from scalesearch.selection.selection import read_selection
from scalesearch.spaces.files import load_space
from tests.conftest import Command

FOUND = (1.5, 1.25, 1.0)  # of a candidate of TINY: alpha, beta, gamma


def typed_next(scalesearch: Command, folder: Path) -> dict[str, Any]:
    """The family that the last command printed at a run's end gives, had it recommended something;
    the one before it takes what is said there."""
    path = folder / "selection.json"
    before = path.read_text()
    found = dict(zip(("alpha", "beta", "gamma"), FOUND, strict=True))
    path.write_text(json.dumps({**json.loads(before), "recommended": True, "coefficients": found}))
    with redirect_stdout(io.StringIO()) as shown, chdir(folder.parents[1]):
        here = folder.relative_to(folder.parents[1])
        finished = Finished(here, read_selection(folder), 1, None, here / "report.html")
        show_answer(here, finished, RunOptions("inline"))
    said = shown.getvalue().splitlines()
    (at,) = [i for i, line in enumerate(said) if line.startswith("next: ")]
    command = shlex.split(said[at].removeprefix("next: scalesearch "))
    typed = json.loads(scalesearch(*command, "--dry-run", "--json").stdout)
    assert typed["text"] == said[at + 1].strip()
    assert typed["text"].endswith("with 1 worker, at the pace of the study's own trials")
    assert typed["expected_seconds"] > 0 and typed["trials"] == 3 * typed["networks"]
    assert "--match mobilenet_v2,resnet18" in said[at], "beside the family"
    command = shlex.split(said[at + 2].removeprefix("then: scalesearch "))
    family: dict[str, Any] = json.loads(scalesearch(*command, "--phi", 1, "--json").stdout)
    path.write_text(before)
    return family


def elsewhere(scalesearch: Command, folder: Path) -> str:
    """What is said where a study's coefficients scale another model than its own."""
    path = folder / "selection.json"
    before = path.read_text()
    found = json.loads(before) | {"coefficients": {"alpha": 1.2, "beta": 1.1, "gamma": 1.15}}
    path.write_text(json.dumps(found))
    scaled = scalesearch("scale", "resnet", "--study", folder, "--phi", 1, "--match", "")
    path.write_text(before)
    return " ".join(scaled.stdout.split())


def test_run_trains_reports_and_then_has_nothing_to_train(
    scalesearch: Command,
    in_a_process: Command,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ("run", tiny, "--runner", "inline", "--json")
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    ran = in_a_process(*command)
    for slow in ("torch._dynamo", "scipy.stats"):
        assert not re.search(rf"\| +{slow}$", ran.stderr, re.MULTILINE), f"seconds to import {slow}"
    first = json.loads(ran.stdout)
    folder = tmp_path / "results" / "tiny-shapes-2x"
    assert first["trained"] > len(json.loads((folder / "plan.json").read_text())["candidates"])
    for name in ("report.html", "report.md", "space.yaml", "plan.csv", "trials.csv"):
        assert (folder / name).stat().st_size > 100
    family = typed_next(scalesearch, folder)
    assert family["space"] == "tiny" and family["warnings"] == []
    assert "coefficients for small, not for resnet18" in elsewhere(scalesearch, folder)
    space = load_space(str(folder / "space.yaml"))
    own = family_of_study(space, read_plan(folder), Coefficients(*FOUND)).members[0]
    assert family["members"][0]["flops"] == own.flops, "the family is the study's own"
    assert own.arch.resolution == 12, "its first network is the candidate, of gamma 1"
    assert abs(own.ratio / 2 - 1) <= space.tolerance
    record = json.loads((folder / "run.json").read_text())
    again = scalesearch("run", tiny, "--runner", "inline", "--stall", "5m")
    assert "nothing to train" in again.stderr
    now = json.loads((folder / "run.json").read_text())
    assert now == record | {"trained_last": 0}, "how it was trained is the run's that trained it"
    assert "nothing was trained" in again.stdout
    assert "TRIALS" not in again.stderr
    status = json.loads(scalesearch("status", folder, "--json").stdout)
    # two seeds of six networks; two networks at two more rates, two on the test split
    assert status["states"] == {"COMPLETE": 2 * 6 + 2 * 2 * 2 + 2 * 2} and not first["stopped"]
    gates = {gate["name"]: gate for gate in first["gates"]}
    assert [*gates] == ["trained enough", "fair", "resolved", "not at the edge", "faithful"]
    assert "at the recipe's learning rate" in gates["fair"]["text"]
    assert status["driver"] is None and status["trained_seconds"] > 0
    shown = {row["key"]: (row["loss"], row["p_best"]) for row in status["networks"]}
    for row in first["standings"]:
        assert shown[row["key"]] == (row["loss"], row["p_best"]), "one number of a candidate"
    shown = scalesearch("status", folder, "--watch").stdout
    assert shown.startswith(str(folder)) and "no process runs it" in shown
    before = json.loads((folder / "selection.json").read_text())
    (folder / "selection.json").write_text(json.dumps({**before, "coefficients": None}))
    (folder / "family.json").unlink(missing_ok=True)
    reselected = json.loads(scalesearch("select", folder, "--json").stdout)
    assert (folder / "family.json").exists() == reselected["recommended"]
    assert reselected["standings"] == first["standings"]
    assert yaml.safe_load((folder / "space.yaml").read_text())["budget"] == "2x"


def test_a_study_is_the_directory_that_is_named(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever name, and wherever from: none is made of its name elsewhere."""
    link = tmp_path / "elsewhere" / "old"
    link.parent.mkdir()
    link.symlink_to(finished)
    shutil.copytree(finished, link.parent / finished.name)  # which must stay as it is
    before = sorted(tmp_path.rglob("*"))
    for place, name in ((finished, "."), (finished / "losses", ".."), (link.parent, "old")):
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "argv", ["scalesearch", "select", name])
        for folder in (finished, link.parent / finished.name):
            (folder / "selection.json").unlink(missing_ok=True)
        with pytest.raises(SystemExit, match="0"):
            main()
        assert (finished / "selection.json").exists()
        assert not (link.parent / finished.name / "selection.json").exists()
    gone = link.parent / finished.name / "selection.json"
    assert sorted(tmp_path.rglob("*")) == [path for path in before if path != gone]


def test_a_run_that_is_too_short_recommends_nothing(scalesearch: Command, tiny: Path) -> None:
    found = scalesearch("run", tiny, "--runner", "inline", "--epochs", "1", "--json")
    assert found.returncode == 0
    document = json.loads(found.stdout)
    assert document["headline"].startswith("No recommendation: not trained enough")
    assert document["gates"][0]["outcome"] in ("failed", "not shown")
    assert document["coefficients"] is None and document["recommended"] is False


@pytest.mark.parametrize("policy", ["grid", "asha"])
def test_other_policies_run_to_the_end(
    scalesearch: Command, tiny: Path, tmp_path: Path, policy: str
) -> None:
    command = ("run", tiny, "--runner", "inline", "--json", "--policy", policy)
    command = (*command, "--epochs", 4, "--seeds", 4 if policy == "grid" else 8)
    document = json.loads(scalesearch(*command).stdout)
    status = json.loads(scalesearch("status", "results/tiny-shapes-2x", "--json").stdout)
    states = status["states"]
    if policy == "grid":
        # four seeds; three of two networks at two more rates, two networks on the test split
        assert states == {"COMPLETE": 4 * 6 + 3 * 2 * 2 + 2 * 4}
    else:
        assert set(states) == {"COMPLETE", "PRUNED"}
    assert document["policy"] == policy
    other = scalesearch(*command[:4], *command[7:])
    assert other.returncode == 2
    assert f"policy was '{policy}', is 'adaptive'" in other.stderr


def test_a_run_may_be_limited_and_gone_on_with(
    scalesearch: Command, tiny: Path, tmp_path: Path
) -> None:
    command = ("run", tiny, "--runner", "inline")
    dry = scalesearch(*command, "--dry-run", "--workers", 1, "--json")
    expected = json.loads(dry.stdout)["trials"]
    none = scalesearch(*command, "--max-hours", 0)
    assert (
        none.returncode == 0 and "to take at most 0 hours; the same command goes on" in none.stdout
    )
    some = scalesearch(*command, "--max-trials", 2)
    assert some.returncode == 0, some.stderr
    assert "[2/2] " in some.stderr and "no selection yet: it needs two seeds" in some.stdout
    assert "has trained 2 trials, and ended early: it was to begin at most 2" in some.stdout
    assert (tmp_path / "results" / "tiny-shapes-2x" / "report.html").exists()
    assert json.loads(scalesearch(*command, "--max-trials", 1, "--json").stdout)["trained"] == 1
    rest = scalesearch(*command)
    counted = re.findall(r"^\[(\d+)/(\d+)\] .* left$", rest.stderr, re.MULTILINE)
    whole = expected - 3
    assert counted == [(str(n), str(whole)) for n in range(1, whole + 1)], "of the whole run"
    assert f"about {8 + 4} trials" in rest.stderr, "the sweep and the look at the test split"
    assert "the same command goes on" not in rest.stdout


def test_verify_compares_with_networks_scaled_up_further(
    scalesearch: Command, finished: Path
) -> None:
    folder = finished
    command = ("verify", folder, "--runner", "inline", "--seeds", 2, "--top", 3)
    found = json.loads(scalesearch(*command, "--json").stdout)
    assert -1 <= found["transfer"]["interval"][0] <= found["transfer"]["rank_correlation"] <= 1
    assert [row["axis"] for row in found["axes"]] == [
        "depth only",
        "width only",
        "resolution only",
    ]
    assert all(3.4 < row["ratio"] < 4.6 for row in found["networks"])
    assert found["law"]["error"] > 0 and found["law"]["form"] in ("constant", "linear")
    trials = len(pd.read_csv(folder / "phi2" / "trials.csv"))
    assert trials == 2 * len({row["key"] for row in found["networks"]})
    again = scalesearch(*command)
    assert "rank correlation with phi = 1" in again.stdout
    assert len(pd.read_csv(folder / "phi2" / "trials.csv")) == trials
    assert "phi = 2" in (folder / "report.md").read_text()
    assert scalesearch("verify", folder, "--phi", 1).stderr.startswith("error: --phi must be above")


def test_a_command_that_draws_nothing_does_not_import_altair(
    in_a_process: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    planned = in_a_process("plan", tiny)
    assert planned.returncode == 0 and re.search(r"\| +torch$", planned.stderr, re.MULTILINE)
    for slow in ("altair", "tensorboardX"):
        assert not re.search(rf"\| +{slow}$", planned.stderr, re.MULTILINE), slow


def test_a_dry_run_writes_nothing(scalesearch: Command, tiny: Path, tmp_path: Path) -> None:
    found = scalesearch("run", tiny, "--dry-run", "--workers", 1, "--json")
    document = json.loads(found.stdout)
    # two epochs with two seeds for all five
    assert (document["candidates"], document["candidate_epochs"]) == (5, 2 * 2 * 5)
    assert document["expected_seconds"] > 0
    assert not (tmp_path / "results").exists()


def test_more_seeds_continue_a_study(scalesearch: Command, tiny: Path, tmp_path: Path) -> None:
    command = ("run", tiny, "--runner", "inline", "--epochs", 1, "--name", "grown")
    first = json.loads(scalesearch(*command, "--sweep-seeds", 0, "--json").stdout)
    fewer = scalesearch(*command, "--seeds", 3, "--sweep-seeds", 0)
    assert fewer.returncode == 0, fewer.stderr
    assert "the look at the test split" in fewer.stderr and "sweep of" not in fewer.stderr
    assert "sweep_seeds of 3 does in 12 trials" in fewer.stdout, "what a sweep costs"
    table = tmp_path / "results" / "grown" / "trials.csv"
    trials = pd.read_csv(table)
    val = trials[trials["split"] == "val"]
    assert len(val) == 3 * 6 and set(val["seed"]) == {0, 1, 2}
    assert set(trials["split"]) == {"val", "test"}, "the learning rate is not swept"
    swept = scalesearch(*command, "--sweep-seeds", 2)
    assert swept.returncode == 0 and "at the best of 0.5x, 1x, 2x" in swept.stdout
    assert pd.read_csv(table)["split"].value_counts()[["slow", "fast"]].to_list() == [4, 4]
    again = json.loads(scalesearch(*command, "--json").stdout)
    assert first["trained"] > 0
    assert "sweep_seeds was 3, is 0" in scalesearch(*command, "--sweep-seeds", 0).stderr
    refused = scalesearch(*command, "--seeds", 2)
    assert refused.returncode == 2 and "seeds was 3, is 2" in refused.stderr
    # the space's own three seeds of the sweep hold again where none are named
    assert again["trained"] == 4 and len(val) == 3 * 6
