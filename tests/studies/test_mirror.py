"""A study kept at a URL too: one history, one driver at a time, whole files or none."""

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

import scalesearch as ss
from scalesearch.files import write_bytes
from scalesearch.studies import JOURNAL, StudyLocked, locked, mirror
from scalesearch.studies.mirror import COMING, NOTE, Mirror, mirror_of, opened
from scalesearch.studies.setup import open_search, open_study

LONG = int(os.environ.get("CHAOS", "0"))  # `make chaos` looks longer


def study(folder: Path, *trials: str) -> Path:
    """A study's directory in which those trials have been completed, one after the other."""
    for trial in trials:
        path = folder / "losses" / f"{trial}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(trial)
        with (folder / JOURNAL).open("a") as file:
            file.write(f"{trial}\n")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def complete(folder: Path) -> list[str]:
    """The trials that a directory's journal calls complete; each has its losses."""
    path = folder / JOURNAL
    trials = path.read_text().splitlines() if path.exists() else []
    for trial in trials:
        assert (folder / "losses" / f"{trial}.npy").read_text() == trial
    return trials


def synced(folder: Path, url: str) -> None:
    """What a run that trains nothing does with its mirror."""
    with opened(url, folder):
        pass


def test_what_was_copied_is_fetched_elsewhere(tmp_path: Path) -> None:
    here, there = study(tmp_path / "here" / "a", "one"), tmp_path / "there" / "a"
    url = f"file://{tmp_path}/far/a"  # the study's name stands in the URL too
    (here / ".half.1").write_text("no")
    (here / "phi2").mkdir()
    (here / "phi2" / JOURNAL).write_text("three\nhal")
    with opened(url, here):
        study(here, "two")
    synced(study(there), url)
    found = sorted(p.relative_to(there).as_posix() for p in there.rglob("[!.]*") if p.is_file())
    assert found == ["losses/one.npy", "losses/two.npy", f"phi2/{JOURNAL}", JOURNAL]
    assert complete(there) == ["one", "two"]
    assert (there / "phi2" / JOURNAL).read_text() == "three\n"


def test_of_one_history_the_longer_part_is_taken(tmp_path: Path) -> None:
    a, b, url = tmp_path / "a" / "s", tmp_path / "b" / "s", f"file://{tmp_path}/far"
    (study(a, "one") / "checkpoints").mkdir()
    (a / "checkpoints" / "two.pt").write_text("half of it")
    (a / "report.md").write_text("one")
    synced(a, url)
    synced(study(b), url)
    assert (b / "checkpoints" / "two.pt").exists()
    study(b, "two", "three")
    (b / "checkpoints" / "two.pt").unlink()  # for two is complete
    (b / "report.md").write_text("three")
    synced(b, url)
    assert not (tmp_path / "far" / "s" / "checkpoints" / "two.pt").exists()
    synced(a, url)
    for folder in (a, b, tmp_path / "far" / "s"):
        assert complete(folder) == ["one", "two", "three"]
        assert (folder / "report.md").read_text() == "three"
    assert not (a / "checkpoints" / "two.pt").exists()


def test_histories_that_have_parted_are_named_and_left_alone(tmp_path: Path) -> None:
    a, b, url = tmp_path / "a" / "s", tmp_path / "b" / "s", f"file://{tmp_path}/far"
    synced(study(a, "one"), url)
    synced(study(b), url)
    synced(study(b, "two", "three"), url)
    study(a, "four")
    with pytest.raises(ValueError, match=r"after 1 lines .*: 1 more here, 2 there") as error:
        synced(a, url)
    assert str(a) in str(error.value) and f"{tmp_path}/far/s" in str(error.value)
    assert complete(a) == ["one", "four"]
    assert complete(tmp_path / "far" / "s") == ["one", "two", "three"]


def test_a_run_goes_on_from_the_mirror_of_its_own_study_alone(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """Machine A has trained two trials and looked at them, B the rest: A takes what B has."""
    a, b, url = tmp_path / "a" / "s", tmp_path / "b" / "s", f"file://{tmp_path}/far"
    for folder in (a, b):
        shutil.copytree(undisturbed, folder)
    lines = (b / JOURNAL).read_bytes().splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines, 1) if b'"state":1' in line]  # a trial is complete
    (a / JOURNAL).write_bytes(b"".join(lines[: ends[1]]))
    synced(b, url)
    with locked(a):
        assert open_study(open_search(a)).queue() == []
    run = partial(ss.run, ss.space(tiny), runner="inline", name="s", mirror=url, quiet=True)
    run(results=a.parent)
    assert (a / JOURNAL).read_bytes() == (b / JOURNAL).read_bytes()
    with pytest.raises(ValueError, match="belongs to another study"):
        run(results=tmp_path / "c", epochs=3)


def test_a_fetch_that_breaks_lands_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, far = f"file://{tmp_path}/far", tmp_path / "far" / "s"
    synced(study(tmp_path / "a" / "s", "one", "two"), url)
    b, reads = study(tmp_path / "b" / "s"), fsspec.filesystem("file").cat_file
    short = lambda path: reads(path)[:-3] if path.endswith(JOURNAL) else reads(path)  # noqa: E731
    pulled = mirror_of(url, b)
    with monkeypatch.context() as broken:
        broken.setattr(type(pulled.files), "cat_file", lambda files, path: short(path))
        with pytest.raises(ValueError, match="must arrive as it was copied"):
            synced(b, url)
    assert not list(b.glob("[!.]*")) and complete(far) == ["one", "two"]
    synced(b, url)
    assert complete(b) == complete(far) == ["one", "two"]


def test_a_driver_that_lives_is_named_and_one_long_silent_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, url = study(tmp_path / "a" / "s", "one"), tmp_path / "b" / "s", f"file://{tmp_path}/far"
    with pytest.raises(StudyLocked, match="taken over by process 2 on elsewhere"), opened(url, a):
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(mirror, "me", lambda: "process 2 on elsewhere")
            with pytest.raises(StudyLocked, match=r"has process \d+ on .*, heard of \d s ago"):
                synced(study(b), url)
            elsewhere.setattr(mirror, "GONE_SECONDS", 0.0)
            synced(study(b, "one", "two"), url)
        study(a, "three")
    assert complete(tmp_path / "far" / "s") == ["one", "two"]
    assert complete(a) == ["one", "three"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", ".lock", "losses/../../x", ""])
def test_a_mirror_names_no_file_outside(tmp_path: Path, name: str) -> None:
    far = tmp_path / "far" / "s"
    far.mkdir(parents=True)
    note = {"driver": "", "began": 0, "time": 0, "files": {name: [None]}}
    (far / NOTE).write_text(json.dumps(note))
    with pytest.raises(ValueError, match="files of a mirror must lie in it"):
        mirror_of(f"file://{tmp_path}/far", study(tmp_path / "s")).pull()


def test_a_url_of_no_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mirror must be a URL"):
        mirror_of("nosuch://bucket", tmp_path)
    (study(tmp_path / "far" / "s", "one") / NOTE).write_text("{")
    with pytest.raises(ValueError, match=r"must have the mirror.json"):
        mirror_of(f"file://{tmp_path}/far", study(tmp_path / "s")).pull()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URL of a real S3 server, which hears this machine alone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket/studies"
    server.stop()


def test_s3_has_one_history_too(tmp_path: Path, bucket: str) -> None:
    a, b = study(tmp_path / "a" / "s", "one"), study(tmp_path / "b" / "s")
    synced(a, bucket)
    synced(b, bucket)
    synced(study(b, "two"), bucket)
    synced(a, bucket)
    assert complete(a) == complete(b) == ["one", "two"]
    fsspec.filesystem("s3").pipe_file(f"{bucket}/s/{JOURNAL}", b"one\n")
    with pytest.raises(ValueError, match="must arrive as it was copied"):
        synced(a, bucket)
    assert complete(a) == ["one", "two"]


class Killed(BaseException):
    """The end of a process."""


class Torn:
    """A file system whose process is killed after so many steps, in the middle of a write.

    A move there is a copy, which may break off, and a removal: no rename is whole.
    """

    def __init__(self, files: Any, steps: Iterator[int], last: int) -> None:
        self.files, self.steps, self.last = files, steps, last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.files, name)

    def step(self) -> None:
        if next(self.steps) == self.last:
            raise Killed

    def pipe_file(self, path: str, content: bytes) -> None:
        for part in (content[: len(content) // 2], content):
            self.step()
            self.files.pipe_file(path, part)

    def mv(self, one: str, two: str) -> None:
        self.pipe_file(two, self.files.cat_file(one))
        self.rm_file(one)

    def rm_file(self, path: str) -> None:
        self.step()
        self.files.rm_file(path)


class Machine:
    """One that trains, with a directory of its own; `kill` is the step of a run that kills it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch

    def run(self, trials: list[str], kill: int) -> None:
        """Fetch, complete trials with a copy after each, end; killed at that step if it comes."""
        url, steps = "memory://far", count()
        made = mirror_of(url, study(self.folder))
        torn = Torn(made.files, steps, kill)

        def write(path: Path, content: bytes, *, synced: bool = False) -> None:
            torn.step()
            write_bytes(path, content, synced=synced)

        with self.monkeypatch.context() as patch:
            patch.setattr(mirror, "mirror_of", lambda *given: Mirror(made.folder, made.url, torn))
            patch.setattr(mirror, "write_bytes", write)
            patch.setattr(mirror, "GONE_SECONDS", 0.0)
            patch.setattr(mirror, "me", lambda: f"process 1 on {self.folder.parent.name}")
            with opened(url, self.folder) as copy:
                for trial in trials:
                    study(self.folder, trial)
                    copy.push()


RUN = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 60))


@settings(
    max_examples=LONG or 20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(runs=st.lists(RUN, min_size=1, max_size=8))
def test_no_complete_trial_is_lost_by_kills_of_three_machines(
    runs: list[tuple[int, int, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path)
    files = fsspec.filesystem("memory")
    files.rm("/", recursive=True)
    machines = [Machine(tmp_path / name / "s", monkeypatch) for name in "abc"]
    fresh, names = (tmp_path / f"fresh{i}" / "s" for i in count()), count()
    at_url: list[str] = []
    for who, many, kill in runs:
        machine = machines[who]
        here = complete(machine.folder)
        trials = [f"trial{next(names)}" for _ in range(many)]
        ended = parted = False
        try:
            machine.run(trials, kill)
            ended = True
        except Killed:
            pass
        except ValueError as error:
            assert "have parted" in str(error)
            parted = True
        now = complete(machine.folder)
        assert now[: len(here)] == here, "what was complete here is complete here"
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "GONE_SECONDS", 0.0)
            mirror_of("memory://far", folder := next(fresh)).pull()
        found = complete(folder)
        assert found[: len(at_url)] == at_url, "what was complete there is complete there"
        if ended:
            assert found == now and now[len(now) - many :] == trials
            assert not [path for path in files.find("/") if path.endswith(COMING)]
        if parted:
            assert found == at_url and now == here
            assert here != found[: len(here)] and found != here[: len(found)]
        at_url = found
