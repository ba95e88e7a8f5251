"""A finished study is selected from its files alone, whatever version wrote it."""

import json
import shutil
from pathlib import Path

import pytest

import scalesearch as ss
from scalesearch.selection.selection import read_selection
from scalesearch.studies import images, setup

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


@pytest.mark.parametrize("name", sorted(path.name for path in REFERENCE.iterdir()))
def test_select_needs_neither_the_data_nor_a_new_plan(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "decoded", None)
    monkeypatch.setattr(setup, "make_plan", None)
    shutil.copytree(REFERENCE / name, tmp_path / "moved")
    (tmp_path / "link").symlink_to("moved")
    study = ss.study(tmp_path / "link")
    ss.trust(study.folder)  # which it asks for where it names code
    before = read_selection(REFERENCE / name)
    note = "a third of the images are there twice"
    document = json.loads((study.folder / "selection.json").read_text())
    document["warnings"] += [note, "3 trials failed; trials.csv and the report say why"]
    (study.folder / "selection.json").write_text(json.dumps(document))
    assert study.report("csv").exists()
    # the first version noted of the data among its warnings alone
    noted = 0 if (REFERENCE / name / "data.json").exists() else 1
    for _ in range(2):
        if noted:
            (study.folder / "data.json").unlink(missing_ok=True)
        found = study.select()
        assert len({*found.warnings}) == len(found.warnings)
        assert found.warnings.count(note) == noted, "what it noted of the data is kept"
        assert not any("trials failed" in warning for warning in found.warnings)
    assert study.report("csv").exists()
    assert (found.headline, found.standings) == (before.headline, before.standings)
    assert found.baseline_loss == pytest.approx(before.baseline_loss)
    plan = study.plan
    assert study.selection == found
    assert plan.feasible == len(plan.candidates) + len(plan.left_out)
    assert {path.name for path in tmp_path.iterdir()} == {"moved", "link"}, "no ghost of it"
