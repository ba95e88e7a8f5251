"""A study made ready: whose directory it may be."""

from dataclasses import replace
from pathlib import Path

import pytest

from scalesearch.studies.setup import open_search, refuse_another


def test_what_a_killed_run_leaves_is_no_other_study(undisturbed: Path, tmp_path: Path) -> None:
    search = replace(open_search(undisturbed), folder=tmp_path / "x")
    search.folder.mkdir()
    (search.folder / ".lock").write_text("process 1 on a machine\n")
    (search.folder / ".space.yaml.1").write_text("model: efficien")
    refuse_another(search)
    (search.folder / "letter.txt").write_text("")
    with pytest.raises(ValueError, match="holds other files"):
        refuse_another(search)
