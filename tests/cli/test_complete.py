"""Completion of names, asked for by a real shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("cost mobilenet_v", {"mobilenet_v1", "mobilenet_v2"}),
        ("plan resn", {"resnet"}),
        ("run mobilenet_v2 --proxy q", {"quick"}),
        ("run --runner i", {"inline"}),
        ("export resnet50 --format s", {"safetensors"}),
        ("status results/", {"results/one"}),
        ("run sp", {"space.yaml"}),
    ],
)
def test_a_shell_completes_names(tmp_path: Path, typed: str, wanted: set[str]) -> None:
    (tmp_path / "space.yaml").touch()
    (tmp_path / "results" / "one").mkdir(parents=True)
    (tmp_path / "results" / "one" / "study.journal").touch()
    words = f"scalesearch {typed}"
    script = (
        'eval "$(_SCALESEARCH_COMPLETE=source_bash scalesearch)"; '
        f"COMP_WORDS=({words}); COMP_CWORD={len(words.split()) - 1}; "
        '_scalesearch_completion scalesearch; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(ran.stdout.split()) == wanted
