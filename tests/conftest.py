"""What the tests share: one thread, an empty cache of their own, a space that trains in seconds."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch

TINY = """
model:
  name: small
  resolution: 12
  stem: [{block: conv, width: 8}]
  stages: [{block: separable, width: 8}, {block: separable, width: 16, depth: 2, stride: 2}]
  rules: {divisor: 2}
grid: {alpha: [1.0, 1.5], beta: [1.0, 1.25, 1.5], gamma: [1.0, 1.25]}
tolerance: 0.2
proxies:
  quick:
    data: shapes
    train_examples: 150
    val_examples: 100
    recipe: {epochs: 2, batch_size: 50}
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


# what is run one after the other on one worker, the longest first
LONGEST = ("chaos", "docs", "away", "site", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups that take long, so that no worker is left alone with one in the end."""

    def place(item: pytest.Item) -> int:
        marker = item.get_closest_marker("xdist_group")
        group = marker.args[0] if marker else ""
        return LONGEST.index(group) if group in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of this run of the suite, which its workers share: costs are measured once."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    os.environ["XDG_CACHE_HOME"] = str(shared / "cache")
    os.environ["XDG_STATE_HOME"] = str(shared / "state")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A space file whose studies train in seconds."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of that file as it is when nothing goes wrong, in this process; not to be changed.

    It stands in results/tiny-shapes-2x, where a run of that file would put it.
    """
    import scalesearch as ss

    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(TINY)
    results = folder / "results"
    return ss.run(
        ss.space(folder / "tiny.yaml"), results=results, runner="inline", quiet=True
    ).folder


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of that study to change, where a run of `tiny` in `tmp_path` looks for it."""
    return Path(shutil.copytree(undisturbed, tmp_path / "results" / undisturbed.name))


@pytest.fixture(autouse=True)
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test has written and imported: another may use their names.

    And where they were looked for: a working directory stays on the path of a process.
    """
    before, place = set(sys.modules), str(tmp_path_factory.getbasetemp())
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(place):
            del sys.modules[name]


@pytest.fixture
def scalesearch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in an empty directory, in this process, which has its imports already.

    That it is the same as a process of its own is what `in_a_process` is for.
    """

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        from scalesearch.cli import main

        line = ["scalesearch", *map(str, arguments)]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", line)
            try:
                main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def in_a_process(tmp_path: Path) -> Command:
    """Run the command line as a user does, in a process of its own, in an empty directory."""

    def run(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scalesearch", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run
