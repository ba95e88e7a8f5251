"""The contract of a runner: every trial of the driver ends once, as it would anywhere else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials.runners import AskTell
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial

Runner = Callable[[AskTell], None]
ARCH = scale_arch(zoo.find("mobilenet_v1"), Scale(0.2, 0.1, 20 / 224))
RECIPE = Recipe(epochs=2, batch_size=50)
SOUND = [
    Trial(replace(ARCH, channels=1, classes=10), seed, "shapes", 100, 100, RECIPE)
    for seed in (0, 1)
]
DIVERGES = replace(SOUND[0], seed=2, recipe=replace(RECIPE, learning_rate=1e30))
RAISES = replace(SOUND[0], seed=3, data="npz:/no/such/file.npz")
LONG = [
    replace(SOUND[0], seed=seed, recipe=replace(RECIPE, epochs=4, resize_from=0.7))
    for seed in (4, 5)
]
UNHEARD = replace(SOUND[0], seed=6)


@dataclass(slots=True)
class Notes:
    """A driver that hands out its trials and notes, by their seeds, what it is told.

    A trial of a seed in `stop_after` is stopped after that epoch; one that paused is handed out
    again to go on from its checkpoint, and one that was lost to begin again. Those in `last` are
    handed out when no other waits or runs; to hear of UNHEARD is an error.
    """

    waiting: list[Trial]
    stop_after: dict[int, int] = field(default_factory=dict)
    last: list[Trial] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    reported: dict[int, list[Metrics]] = field(default_factory=dict)
    completed: dict[int, list[Metrics]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    stopped: dict[int, list[Metrics]] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    checkpoints: dict[int, bytes] = field(default_factory=dict)

    def driver(self) -> AskTell:
        """The calls of a driver, noted here."""
        return AskTell(
            ask=self.ask,
            report=self.hear,
            stopped=self.stop,
            complete=self.complete,
            fail=self.fail,
            lost=self.lose,
        )

    def ask(self) -> Trial | None:
        """The next trial; None where there is none yet."""
        queue = self.waiting if self.waiting or self.running else self.last
        if not queue:
            return None
        self.running.add(queue[0].seed)
        return queue.pop(0)

    def hear(self, trial: Trial, step: Metrics) -> bool:
        """Note an epoch; whether the trial is to stop there."""
        if trial == UNHEARD:
            raise OSError(28, "No space left on device")
        self.reported.setdefault(trial.seed, []).append(step)
        if step.checkpoint is not None:
            self.checkpoints[trial.seed] = step.checkpoint
        return step.epoch == self.stop_after.get(trial.seed)

    def stop(self, trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        """Note a trial that stopped or paused, and have one that paused go on."""
        self.stopped[trial.seed] = list(curve)
        self.running.discard(trial.seed)
        if trial.pause is not None:
            assert trial.seed in self.checkpoints, "a pause must be reported with a checkpoint"
            start = self.checkpoints[trial.seed]
            self.waiting.append(replace(trial, pause=None, start=start))

    def complete(self, trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        """Note a trial that ended well."""
        self.completed[trial.seed] = list(curve)
        self.running.discard(trial.seed)

    def fail(self, trial: Trial, message: str) -> None:
        """Note why a trial failed."""
        self.failed[trial.seed] = message
        self.running.discard(trial.seed)

    def lose(self, trial: Trial) -> None:
        """Note a trial whose worker died, and hand it out again."""
        self.lost.append(trial.seed)
        self.running.discard(trial.seed)
        self.waiting.append(trial)


def check_runner(run: Runner) -> None:
    """Raise AssertionError where a runner breaks its contract.

    `run` is given what a driver gives a runner, and returns when there is no trial left. Every
    trial must end once, and each of its epochs be reported once; one that diverges or raises must
    say why in one line; one that is stopped must stop there; one that paused must go on from its
    checkpoint; and all metrics must be, to the bit, those of the inline runner. What the driver
    raises, at the end of these trials, must end the run and be raised.
    """
    paused = replace(LONG[0], pause=2)
    trials = [SOUND[0], DIVERGES, RAISES, paused, SOUND[1], LONG[1]]
    notes = Notes(trials, {LONG[1].seed: 3}, [UNHEARD])
    check_broken_driver(run, notes)
    check_ends(notes)
    check_failures(notes)
    alone = Notes([*SOUND, *LONG])
    run_inline(alone.driver())
    check_metrics(notes, alone)


def check_ends(notes: Notes) -> None:
    """Raise AssertionError where a trial did not end as it should, or an epoch is not told of."""
    assert set(notes.completed) == {0, 1, 4}, f"sound trials complete, got {set(notes.completed)}"
    assert set(notes.failed) == {2, 3}, f"the others fail, got {set(notes.failed)}"
    assert not notes.lost, f"no worker died, got {notes.lost}"
    assert not notes.last, "every trial is asked for"
    epochs = {seed: [step.epoch for step in curve] for seed, curve in notes.reported.items()}
    wanted = {0: [1, 2], 1: [1, 2], 4: [1, 2, 3, 4], 5: [1, 2, 3]}
    assert {seed: epochs[seed] for seed in wanted} == wanted, f"each epoch once, got {epochs}"
    stopped = {seed: [step.epoch for step in curve] for seed, curve in notes.stopped.items()}
    assert stopped == {4: [1, 2], 5: [1, 2, 3]}, f"a pause after 2, a stop after 3, got {stopped}"
    ends = {seed: [step.epoch for step in curve] for seed, curve in notes.completed.items()}
    assert ends == {0: [1, 2], 1: [1, 2], 4: [3, 4]}, f"whole curves, got {ends}"


def check_failures(notes: Notes) -> None:
    """Raise AssertionError where a failure does not say why, or not in one line."""
    said = notes.failed
    assert said[2].startswith("TrialFailed: the loss must be finite, got "), said[2]
    assert said[3].startswith("ValueError: ") and "/no/such/file.npz" in said[3], said[3]
    assert "\n" not in said[2] + said[3], "a failure must be one line"


def check_metrics(notes: Notes, alone: Notes) -> None:
    """Raise AssertionError where metrics are not, to the bit, those of the inline runner."""
    for seed, curve in alone.completed.items():
        check_same(notes.reported[seed], curve[: len(notes.reported[seed])])
    assert alone.completed[0][-1].loss != alone.completed[1][-1].loss, "seeds must differ"


def check_same(mine: Sequence[Metrics], theirs: Sequence[Metrics]) -> None:
    """Raise AssertionError where two curves differ in a bit."""
    for a, b in zip(mine, theirs, strict=True):
        pairs = ((a.loss, b.loss), (a.accuracy, b.accuracy), (a.train_loss, b.train_loss))
        assert all(x == y for x, y in pairs), f"to the bit after epoch {a.epoch}, got {pairs}"
        assert np.array_equal(a.losses, b.losses), f"each example's loss after epoch {a.epoch}"
        assert a.loss == b.losses.mean(dtype=np.float64) or np.isclose(a.loss, a.losses.mean())


def check_broken_driver(run: Runner, notes: Notes) -> None:
    """Raise AssertionError where an error of the driver is not raised by the run."""
    try:
        run(notes.driver())
    except OSError as error:
        assert error.errno == 28, error
    else:
        raise AssertionError("an error of the driver must be raised")
