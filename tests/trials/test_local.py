"""A run on this machine: what it imports, where it listens, who can read its token."""

import ipaddress
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scalesearch.studies import read_trials
from scalesearch.trials.runners.local import with_token

OWN = """
from torch import nn

def plain(depth, width, resolution):
    out = round(8 * width)
    blocks = [nn.Conv2d(1 if i == 0 else out, out, 3, 2, 1) for i in range(round(2 * depth))]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out, 10))
"""
SPACE = """
model: python:my_net:plain
resolution: 12
grid: {alpha: [1.0, 1.5], beta: [1.0, 1.25, 1.5], gamma: [1.0, 1.25]}
tolerance: 0.3
proxies:
  quick: {data: shapes, train_examples: 100, val_examples: 50, recipe: {epochs: 1}}
"""
SHADOW = "open('imported', 'a').write(__name__ + '\\n')\nraise ImportError(__name__)\n"


def listening(pid: int) -> set[tuple[str, str]]:
    """Names of the processes below that one, and the addresses that they listen at."""
    found = set()
    for process in psutil.Process(pid).children(recursive=True):
        try:
            for socket in process.net_connections("inet"):
                if socket.status == psutil.CONN_LISTEN:
                    found.add((process.name(), socket.laddr.ip))
        except psutil.Error:  # it has just ended
            continue
    return found


def is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


@pytest.mark.long
def test_a_local_run_imports_the_named_module_alone_and_listens_to_this_machine(
    tmp_path: Path,
) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir(), home.mkdir()
    for name in ("numpy", "pandas", "pydantic", "torch", "ray", "yaml"):
        (work / f"{name}.py").write_text(SHADOW)
    (work / "my_net.py").write_text(OWN)
    (work / "own.yaml").write_text(SPACE)
    # as the installed command does, -P leaves out the working directory, which -m would put first
    line = [sys.executable, "-P", "-m", "scalesearch", "run", "own.yaml", "--name", "own"]
    line += ["--workers", "1", "--max-trials", "1"]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    driver = subprocess.Popen(
        line,
        cwd=work,
        env={**quiet, "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    heard: set[tuple[str, str]] = set()
    while driver.poll() is None:
        heard |= listening(driver.pid)
        time.sleep(0.3)
    said = driver.communicate()[0]
    assert driver.returncode == 0, said
    assert read_trials(work / "results/own")["state"].eq("COMPLETE").sum() == 1, said
    assert not (work / "imported").exists(), (work / "imported").read_text()
    assert {"gcs_server", "raylet"} <= {name for name, _ in heard}, heard
    assert {row for row in heard if not is_loopback(row[1])} == set()
    token = home / ".ray/auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600 and len(token.read_text()) == 64


def test_a_token_that_is_there_stays_and_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    path = tmp_path / ".ray/auth_token"
    path.parent.mkdir()
    path.write_text("mine")
    path.chmod(0o644)
    with_token()
    assert path.read_text() == "mine" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.environ["RAY_AUTH_MODE"] == "disabled", "what the user says stands"
