"""The loop of a run: what it tells, to whom and when; what ends it; how far it says it is."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scalesearch.cli.base import messages_on_stderr
from scalesearch.search.clock import Clock
from scalesearch.search.driver import LOOK, SWEEP, checks_text, drive
from scalesearch.search.events import (
    Asked,
    Completed,
    Decided,
    Ended,
    Epoch,
    Event,
    Failed,
    Lost,
    Paused,
    Work,
)
from scalesearch.search.lines import decisions, trials
from scalesearch.search.options import RunOptions, Spending, cores, worker_count
from scalesearch.studies import Study
from scalesearch.trials.runners import AskTell
from scalesearch.trials.trial import Trial
from tests.studies.test_study import ARCH, four, kept, metrics, trial


def one_by_one(driver: AskTell) -> None:
    """A runner: the first seed ends well, the second fails, the third's worker dies once."""
    died = False
    while (asked := driver.ask()) is not None:
        if asked.seed == 2 and not died:
            died = True
            driver.lost(asked)
        elif asked.seed == 1:
            driver.fail(asked, "ValueError: no")
        else:
            curve = [metrics(epoch) for epoch in range(1, asked.last + 1)]
            for step in curve:
                driver.report(asked, step)
            driver.complete(asked, curve, {})


def test_listeners_hear_in_order_what_the_study_has_recorded(tmp_path: Path) -> None:
    study, heard = Study(tmp_path, [ARCH.key]), list[tuple[Event, int, int]]()
    rounds = [(trial(0), trial(1)), (trial(0), trial(2))]  # what has ended is not run again
    wanted = iter(Decided(f"round {i}", of) for i, of in enumerate(rounds))

    def listen(event: Event) -> None:
        heard.append((event, study.ended(), len(study.running())))

    driven = drive(study, lambda: next(wanted, Decided("")), one_by_one, [listen, listen])
    assert (driven.trials, driven.halted) == (3, "")
    assert heard[::2] == heard[1::2], "every listener hears all"
    first, lost, last = trial(0), trial(2), metrics(2).point
    decided = [event for event, *_ in heard[::2] if isinstance(event, Decided)]
    assert [event.stage for event in decided] == ["round 0", "round 1", ""]
    told = [event for event, *_ in heard[::2] if not isinstance(event, Decided | Epoch)]
    assert told == [
        Asked(first, 0),
        Completed(first, last),
        Asked(trial(1), 0),
        Failed(trial(1), "ValueError: no"),
        Asked(lost, 0),
        Lost(lost),
        Asked(lost, 0),
        Completed(lost, last),
        Ended(""),
    ]
    assert [type(event) for event, *_ in heard[::2]].count(Epoch) == 4
    done = [n for event, n, _ in heard[::2] if isinstance(event, Completed)]
    assert done == [1, 2], "the study has recorded it before"


def two_at_once(lengths: Mapping[int, int]) -> Callable[[AskTell], None]:
    """A runner with two workers, whose trials take so long by their seed; ties end in order."""

    def run(driver: AskTell) -> None:
        now, running = 0, list[tuple[int, Trial]]()
        while True:
            while len(running) < 2 and (asked := driver.ask()) is not None:
                running.append((now + lengths[asked.seed], asked))
            if not running:
                return
            now, ended = min(running, key=lambda one: one[0])
            running.remove((now, ended))
            curve = [metrics(epoch) for epoch in range(1, ended.last + 1)]
            for step in curve:
                driver.report(ended, step)
            driver.complete(ended, curve, {})

    return run


def test_a_worker_that_would_wait_for_a_round_begins_what_is_sure(tmp_path: Path) -> None:
    study, heard = Study(tmp_path, [ARCH.key]), list[str]()
    sure = (trial(4), trial(5))
    rounds = [
        Decided("one", (trial(0), trial(1)), sure=sure),
        Decided("two", (trial(2),), sure=sure),
        Decided("three", (trial(5),)),
        Decided("four", (trial(3),)),
    ]
    wanted = iter(rounds)

    def listen(event: Event) -> None:
        match event:
            case Decided(stage):
                heard.append(stage)
            case Asked(asked):
                heard.append(f"begin {asked.seed}")
            case Completed(asked):
                heard.append(f"end {asked.seed}")

    run = two_at_once({0: 1, 1: 3, 2: 2, 3: 1, 4: 4, 5: 2})
    driven = drive(study, lambda: next(wanted, Decided("")), run, [listen])
    # 4 is taken while 1 runs, and 5 while 2 does: the third round is a trial that runs already
    story = "one, begin 0, begin 1, end 0, begin 4, end 1, two, begin 2, end 4, begin 5, end 2"
    assert heard == [*f"{story}, three, end 5, four, begin 3, end 3".split(", "), ""]
    assert driven.trials == study.ended() == 6


def test_what_is_lost_comes_before_what_is_sure(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])
    study.plan([trial(0), trial(1), trial(2), trial(3)])
    first, second = study.ask(), study.ask()
    assert first is not None and second is not None
    study.lost(second)
    assert [one.seed for one in study.queue()] == [1, 2, 3]


def test_a_sure_trial_that_pauses_short_of_its_round_goes_on_in_it(tmp_path: Path) -> None:
    study, asked = Study(tmp_path, [ARCH.key]), list[tuple[int, int]]()
    rounds = [Decided("one", (trial(1),), sure=(four(0, pause=2),)), Decided("two", (four(0),))]
    wanted = iter(rounds)

    def run(driver: AskTell) -> None:
        one, other = driver.ask(), driver.ask()
        assert one is not None and other is not None and driver.ask() is None
        ended = [metrics(epoch) for epoch in (1, 2)]
        for of in (one, other):
            for step in ended:
                driver.report(of, step)
        driver.complete(one, ended, {})
        assert driver.ask() is None, "what the second round wants still runs, to its pause"
        driver.stopped(other, ended, {})
        while (more := driver.ask()) is not None:
            asked.append((more.seed, more.last))
            driver.complete(more, [metrics(epoch) for epoch in (3, 4)], {})

    drive(study, lambda: next(wanted, Decided("")), run)
    assert asked == [(0, 4)]


def test_a_limit_ends_a_run_and_leaves_nothing_running(tmp_path: Path) -> None:
    wanted = Decided("all", tuple(trial(seed) for seed in (0, 3, 4)))
    for spending, begun, why in (
        (Spending(hours=0), 0, "it was to take at most 0 hours"),
        (Spending(trials=2), 2, "it was to begin at most 2"),
        (Spending(trials=1, hours=9), 1, ""),
        (Spending(trials=0), 0, ""),
    ):
        study, heard = Study(tmp_path, [ARCH.key]), list[Event]()
        driven = drive(study, lambda: wanted, one_by_one, [heard.append], spending.spent)
        assert (driven.trials, driven.halted, heard[-1]) == (begun, why, Ended(why))
        assert not study.running()
    assert study.ended() == 3, "the same again has gone on"


def test_hours_that_are_spent_begin_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    spending = Spending(hours=0.5)
    assert spending.spent(10**6) == "" and Spending().spent(10**6) == ""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1801)
    assert spending.spent(0) == "it was to take at most 0.5 hours"


def test_an_error_of_a_listener_ends_the_run_and_leaves_nothing_running(tmp_path: Path) -> None:
    study = Study(tmp_path, [ARCH.key])

    def full(event: Event) -> None:
        if isinstance(event, Epoch):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        drive(study, lambda: Decided("all", (trial(0),)), one_by_one, [full])
    assert study.waiting() == 1 and not study.running()


def test_the_clock_counts_the_whole_run_and_expects_the_rest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two networks, the second three times as slow; an epoch of the first takes ten seconds."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    key = ARCH.key
    clock = Clock(lambda network: 1.0 if network == key else 3.0)
    names = {key: "1x baseline", "slow": "1.2/1/1", "other": "1/1.2/1"}
    lines = [decisions(clock, 2), trials(clock, names)]

    def hear(event: Event) -> None:
        clock.hear(event)
        for line in lines:
            line(event)

    caplog.set_level(logging.INFO, "scalesearch")
    paused = four(0, pause=2)
    ahead = (Work(key, 2), Work("slow", 2), Work(key, 2))
    hear(Decided("1 network", (paused,), ahead))
    assert (clock.ended, clock.total, clock.left()) == (0, 3, None)
    hear(Asked(paused, 0))
    now += 10
    hear(Epoch(paused, metrics(1)))
    assert clock.left() == pytest.approx(10 * (1 + 6 + 2))
    hear(Lost(paused))
    assert clock.left() == pytest.approx(10 * (2 + 6 + 2)), "what was lost comes again"
    hear(Asked(paused, 0))
    now += 20
    hear(Epoch(paused, kept(2)))
    hear(Paused(paused, kept(2).point))
    assert (clock.ended, clock.total) == (1, 3)
    assert clock.left() == pytest.approx(30 / 3 * (6 + 2))
    rest = four(0)
    hear(Decided("1 network, seed 0, to epoch 4", (rest,), (Work(key, 2),), stopped=1))
    assert clock.total == 2
    hear(Asked(rest, 2))
    hear(Failed(rest, "no"))
    assert (clock.ended, clock.total, clock.left()) == (2, 2, 0)
    checks = checks_text([rest, replace(rest, split="test")])
    assert checks == f"{SWEEP}, and {LOOK}"
    last = Decided(checks, (rest,), (Work(key, 4),), stopped=1, ended="one candidate is left")
    hear(last)
    same = Decided("1 network", (rest,), (Work(key, 4),), stopped=1)
    hear(same)
    assert caplog.messages == [
        "next: 1 network; about 3 trials to the end",
        "[1/3] 1x baseline seed 0: loss 0.5000 after epoch 2, 2 s; about 1 min 20 s left",
        "1 of 2 candidates stopped; next: 1 network, seed 0, to epoch 4; "
        "about 1 trial to the end, 20 s left",
        f"the search has ended, for one candidate is left; next: {checks}; "
        "about 1 trial to the end, 40 s left",
    ]
    limited = Clock(lambda network: 1.0, most=2)
    limited.hear(Decided("", (paused,), ahead))
    assert limited.total == 2
    limited.hear(Asked(paused, 0))
    limited.hear(Decided("", (rest,), ahead[1:]))
    assert limited.total == 2, "one runs, one may be begun"


def test_the_clock_counts_once_what_runs_while_more_is_decided_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    clock = Clock(lambda network: 1.0)
    one, sure, more = trial(0), four(1), trial(2)
    clock.hear(Decided("", (one,), (Work("a", 2), Work("a", 4), Work("a", 2)), sure=(sure,)))
    clock.hear(Asked(one, 0))
    clock.hear(Asked(sure, 0))
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    for step in (metrics(1), metrics(2)):
        clock.hear(Epoch(one, step))
    clock.hear(Completed(one, metrics(2).point))
    for step in (metrics(1), metrics(2), metrics(3)):
        clock.hear(Epoch(sure, step))
    clock.hear(Decided("", (more,), (Work("a", 2),)))
    assert (clock.ended, clock.total) == (1, 3)
    assert clock.left() == pytest.approx(10 / 5 * (1 + 2)), "an epoch of one, two of the other"


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.delattr(os, name, raising=False)


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ({"process_cpu_count": lambda: 3}, ()),
        ({"sched_getaffinity": lambda pid: {1, 4}}, ("process_cpu_count",)),
        ({"cpu_count": lambda: 6}, ("process_cpu_count", "sched_getaffinity")),  # as on macOS
        ({"cpu_count": lambda: None}, ("process_cpu_count", "sched_getaffinity")),
    ],
)
def test_workers_are_the_cores_on_every_system(
    has: dict[str, Callable[..., object]], lacks: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *lacks)
    for name, value in has.items():
        monkeypatch.setattr(os, name, value, raising=False)
    expected = {"process_cpu_count": 3, "sched_getaffinity": 2}.get(next(iter(has)), 6)
    if has.get("cpu_count", lambda: 1)() is None:
        expected = 1
    assert cores() == worker_count(RunOptions()) == expected
    assert worker_count(RunOptions(workers=7)) == 7
    assert worker_count(RunOptions(runner="inline")) == 1


def test_the_command_line_prints_messages_and_a_caller_can_silence_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("scalesearch.search.run")
    with messages_on_stderr():
        log.info("training in %s", "here")
    assert capsys.readouterr().err == "training in here\n"
    log.info("nobody asked")
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("scalesearch").handlers
