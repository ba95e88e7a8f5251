"""Completion of names, asked for by a real shell."""

import os
import subprocess
import sys
from pathlib import Path

WANTED = {
    "cost mobilenet_v": {"mobilenet_v1", "mobilenet_v2"},
    "plan resn": {"resnet"},
    "run mobilenet_v2 --proxy q": {"quick"},
    "run --runner i": {"inline"},
    "export resnet50 --format s": {"safetensors"},
    "status results/": {"results/one"},
    "run sp": {"space.yaml"},
}


def test_a_shell_completes_names(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").touch()
    (tmp_path / "results" / "one").mkdir(parents=True)
    (tmp_path / "results" / "one" / "study.journal").touch()
    script = ['eval "$(_SCALESEARCH_COMPLETE=source_bash scalesearch)"']
    for typed in WANTED:
        script += [
            f"COMP_WORDS=(scalesearch {typed}); COMP_CWORD={len(typed.split())}",
            "_scalesearch_completion scalesearch",
            'echo "${COMPREPLY[@]}"',
        ]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    found = [set(line.split()) for line in ran.stdout.splitlines()]
    assert dict(zip(WANTED, found, strict=True)) == WANTED
