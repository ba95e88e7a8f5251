"""The study: what is planned, run, failed, interrupted, and read again."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from scalesearch.files import write_text
from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.files import load_space
from scalesearch.spaces.space import Recipe
from scalesearch.studies import (
    JOURNAL,
    Study,
    StudyLocked,
    cut_torn_tail,
    locked,
    read_curves,
    read_losses,
    read_trials,
)
from scalesearch.studies.setup import prepare
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from tests.chaos import command, exact, trained
from tests.forked import fork, wait

REFERENCE = Path(__file__).parents[2] / "results/reference/efficientnet-first-version-2x"
ARCH = scale_arch(zoo.find("mobilenet_v1"), Scale(width=0.125, resolution=12 / 224))


def trial(seed: int) -> Trial:
    return Trial(replace(ARCH, name=""), seed, "shapes", 100, 50, Recipe(epochs=2))


def metrics(epoch: int) -> Metrics:
    return Metrics(epoch, 1.0 / epoch, 0.5, 1.1, float(epoch), np.full(50, 1.0 / epoch, "f4"))


def opened(folder: Path, seeds: int = 3) -> Study:
    study = Study(folder, [ARCH.key])
    study.plan(trial(seed) for seed in range(seeds))
    return study


def states(folder: Path) -> list[str]:
    return read_trials(folder)["state"].tolist()


def test_trials_are_asked_in_order_and_recorded(tmp_path: Path) -> None:
    study = opened(tmp_path)
    first = study.ask()
    assert first == trial(0)
    curve = [metrics(1), metrics(2)]
    for step in curve:
        study.report(first, step)
    study.complete(first, curve, {"device": "here"})
    second = study.ask()
    assert second is not None and second.seed == 1
    study.fail(second, "ValueError: no")
    table = read_trials(tmp_path)
    assert table["state"].tolist() == ["COMPLETE", "FAIL", "WAITING"]
    assert table["loss"].tolist()[0] == 0.5
    assert table["error"].tolist()[1] == "ValueError: no"
    assert table["epochs"].tolist() == [2, 0, 0]
    assert read_losses(tmp_path, first.key) == pytest.approx(np.full(50, 0.5))
    assert study.finished("val") == [first.key]


def test_planning_again_adds_nothing_and_none_is_invented(tmp_path: Path) -> None:
    study = opened(tmp_path, seeds=1)
    study.complete(study.ask(), [metrics(2)], {})
    again = opened(tmp_path, seeds=1)
    assert again.ask() is None
    assert states(tmp_path) == ["COMPLETE"]


def test_a_running_trial_is_put_back(tmp_path: Path) -> None:
    study = opened(tmp_path)
    asked = study.ask()
    study.report(asked, metrics(1))
    reopened = opened(tmp_path)
    assert states(tmp_path) == ["RUNNING", "WAITING", "WAITING"]
    assert reopened.release() == 1
    assert states(tmp_path) == ["WAITING"] * 3
    assert reopened.ask() == asked


def kept(epoch: int) -> Metrics:
    return replace(metrics(epoch), checkpoint=f"after {epoch}".encode())


def four(seed: int, pause: int | None = None) -> Trial:
    return replace(trial(seed), recipe=Recipe(epochs=4), pause=pause)


def test_a_paused_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([four(0, pause=2)])
    asked = study.ask()
    assert asked is not None and asked.start is None
    study.report(asked, metrics(1))
    study.report(asked, kept(2))
    study.stopped(asked, [metrics(1), metrics(2)], {})
    assert study.ask() is None and states(tmp_path) == ["WAITING"]
    again = Study(tmp_path, [ARCH.key])
    again.plan([four(0, pause=2)])
    assert again.ask() is None, "it is as far as it is wanted"
    again.plan([four(0)])
    asked = again.ask()
    assert asked is not None and asked.start == b"after 2"
    again.complete(asked, [metrics(3), metrics(4)], {})
    assert [row.epoch for row in again.history("val")[asked.key]] == [1, 2, 3, 4]
    assert not list((tmp_path / "checkpoints").iterdir())


def test_after_a_crash_a_curve_has_every_epoch(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([four(0)])
    asked = study.ask()
    for step in (metrics(1), kept(2), metrics(3)):
        study.report(asked, step)
    # the driver dies here
    again = Study(tmp_path, [ARCH.key])
    again.plan([four(0)])
    again.release()
    asked = again.ask()
    assert asked is not None and asked.start == b"after 2"
    again.complete(asked, [metrics(3), metrics(4)], {})
    curve = again.history("val")[asked.key]
    assert [row.loss for row in curve] == [1 / epoch for epoch in (1, 2, 3, 4)]


def test_a_failed_trial_starts_afresh(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([four(0)])
    asked = study.ask()
    study.report(asked, metrics(1))
    study.report(asked, kept(2))
    study.fail(asked, "no")
    study.retry_failed()
    asked = study.ask()
    assert asked is not None and asked.start is None
    study.complete(asked, [metrics(epoch) for epoch in (1, 2, 3, 4)], {})
    assert len(study.history("val")[asked.key]) == 4


def test_a_stopped_candidate_is_pruned_with_its_reason(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([four(0, pause=2)])
    asked = study.ask()
    study.report(asked, kept(2))
    study.stopped(asked, [metrics(1), metrics(2)], {})
    study.prune(asked.key, "rung 1: P(best) 1%")
    table = read_trials(tmp_path)
    assert table["state"].tolist() == ["PRUNED"]
    assert table["pruned"].tolist() == ["rung 1: P(best) 1%"]
    assert (table["epochs"].tolist(), table["loss"].tolist()) == ([2], [0.5])
    study.plan([four(0)])
    assert study.ask() is None and study.pruned() == {asked.key}


def test_a_lost_worker_is_forgiven_five_times(tmp_path: Path) -> None:
    study = opened(tmp_path, seeds=1)
    for _ in range(5):
        study.lost(study.ask())
        assert states(tmp_path) == ["WAITING"]
    study.lost(study.ask())
    table = read_trials(tmp_path)
    assert table["state"].tolist() == ["FAIL"]
    said = "its worker died 6 times, killed or for lack of memory: give fewer workers"
    assert table["error"].tolist() == [said]


def test_a_failed_trial_is_run_again_only_when_asked_for(tmp_path: Path) -> None:
    study = opened(tmp_path, seeds=1)
    study.fail(study.ask(), "no")
    assert opened(tmp_path, seeds=1).waiting() == 0
    study.retry_failed()
    study.complete(study.ask(), [metrics(2)], {})
    assert states(tmp_path) == ["FAIL", "COMPLETE"], "the failure stays on record"
    assert study.finished("val") == [trial(0).key]
    assert not study.failed()


@pytest.mark.parametrize("cut", [1, 7, 40, 90])
def test_a_torn_last_line_never_happened(tmp_path: Path, cut: int) -> None:
    study = opened(tmp_path)
    study.complete(study.ask(), [metrics(2)], {})
    before = read_trials(tmp_path)
    study.ask()
    journal = tmp_path / JOURNAL
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    journal.write_bytes(content[: min(last + cut, len(content) - 1)])
    reopened = opened(tmp_path)
    pd.testing.assert_frame_equal(read_trials(tmp_path), before)
    assert reopened.ask() == trial(1)


def test_a_trial_of_two_values_is_refused_in_one_line(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([trial(0)])
    asked = study.ask()
    assert asked is not None
    study.complete(asked, [metrics(2)], {})
    journal = tmp_path / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    lines[-1] = lines[-1].replace('"values":[', '"values":[0.0,')
    assert "[0.0," in lines[-1]
    journal.write_text("".join(lines))
    with pytest.raises(ValueError, match="must be Optuna's journal of this study, got Runtime"):
        read_trials(tmp_path)


def test_a_journal_of_the_first_version_is_read_as_its_table() -> None:
    """Its trials have a parameter `split` for the part, and rows for the learning curve."""
    table = read_trials(REFERENCE)
    before = pd.read_csv(REFERENCE / "trials.csv").drop(columns=["error", "pruned"])
    pd.testing.assert_frame_equal(table[before.columns], before, check_dtype=False)
    assert set(table["split"]) == {"val", "test", "slow", "fast"}
    curves = pd.read_csv(REFERENCE / "curves.csv")
    pd.testing.assert_frame_equal(read_curves(REFERENCE)[curves.columns], curves)


def test_optunas_private_number_of_a_trial_is_its_storages_own(tmp_path: Path) -> None:
    """`record_of` reads it: Optuna tells it in public only by a search through all trials."""
    storage = JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))
    study = optuna.create_study(storage=storage)
    for _ in range(2):
        study.ask()
    number = storage.get_study_id_from_name(study.study_name)
    for frozen in study.get_trials(deepcopy=False):
        public = storage.get_trial_id_from_study_id_trial_number(number, frozen.number)
        assert frozen._trial_id == public


def test_a_whole_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    path.write_bytes(b'{"a":1}\n{"b":2}\n')
    cut_torn_tail(path)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'


def test_a_second_driver_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(StudyLocked, match=f"process {os.getpid()}"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        pass


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_twenty_kills_lose_nothing_and_repeat_nothing(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """kill -9 at random moments after the journal exists; then what a quiet run leaves."""
    line, folder = command(tiny, tmp_path, "killed", "--runner", "inline"), tmp_path / "killed"
    rng = np.random.default_rng(20190528)
    completed: set[tuple[str, int, str]] = set()
    for _ in range(20):
        driver = fork(line)
        journal = folder / JOURNAL
        while not journal.exists() and driver.is_alive():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.1, 1.5))
        driver.kill()
        driver.join()
        cut_torn_tail(journal)
        table = read_trials(folder) if journal.stat().st_size else pd.DataFrame()
        if len(table):
            whos = list(zip(table["candidate"], table["seed"], table["split"], strict=True))
            assert len(whos) == len(set(whos)), "no trial is in the study twice"
            done = {w for w, s in zip(whos, table["state"], strict=True) if s == "COMPLETE"}
            assert completed <= done, "what was complete stays complete"
            completed = done
    assert wait(fork(line)) == 0
    exact(folder, undisturbed)
    killed = read_trials(folder)
    assert set(killed["state"]) == {TrialState.COMPLETE.name}
    assert (killed["split"] == "test").sum() == 4, "two seeds of the choice and of the baseline"


@pytest.mark.xdist_group("chaos")
def test_an_interrupted_study_ends_as_an_undisturbed_one(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    line, folder = command(tiny, tmp_path, "killed", "--runner", "inline"), tmp_path / "killed"
    driver = fork(line)
    while trained(folder) < 3 and driver.is_alive():
        time.sleep(0.01)
    os.kill(driver.pid or 0, signal.SIGTERM)
    assert wait(driver) == 130
    assert "WAITING" in states(folder) and "RUNNING" not in states(folder)
    assert wait(fork(line)) == 0
    exact(folder, undisturbed)


def test_a_name_with_a_directory_in_it_is_refused() -> None:
    for name in ("../other", "a/b", ".hidden", "", "x" * 101):
        with pytest.raises(ValueError, match="a study's name must be"):
            prepare(
                load_space("efficientnet"), "quick", None, None, None, None, Path("r"), name or " "
            )


def test_write_text_leaves_the_old_file_where_the_new_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
