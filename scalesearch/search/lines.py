"""A run as lines: one for every trial that ends, and for every decision."""

import logging
from collections.abc import Mapping

from scalesearch.search.clock import Clock
from scalesearch.search.events import Completed, Decided, Event, Failed, Listener, Paused
from scalesearch.search.progress import trial_text
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.trials.curve import Point
from scalesearch.trials.trial import Trial
from scalesearch.units import counted, duration

log = logging.getLogger(__name__)


def decisions(clock: Clock, candidates: int) -> Listener:
    """A listener that logs what was decided on first, and again where a decision stopped some of
    the candidates, ended the search, or changed what the whole run is expected to take.

    `clock` must have heard of each event before.
    """
    stopped, total = 0, 0

    def hear(event: Event) -> None:
        nonlocal stopped, total
        if not isinstance(event, Decided) or not event.trials:
            return
        if event.stopped > stopped or event.ended or clock.total != total:
            log.info("%s", decision_text(event, event.stopped - stopped, candidates, clock))
        stopped, total = event.stopped, clock.total

    return hear


def trials(clock: Clock, names: Mapping[str, str], metric: Metric = LOSS) -> Listener:
    """A listener that logs a line for every trial that pauses or ends well, by that metric.

    `clock` must have heard of each event before; `names` are the networks', by their keys.
    """

    def value_text(end: Point) -> str:
        return f"{metric.name} {metric.value(end.loss):.4f}"

    def hear(event: Event) -> None:
        match event:
            case Completed(trial, end):
                right = "" if end.accuracy is None else f", accuracy {end.accuracy:.2%}"
                said = f"{value_text(end)}{right}, {end.seconds:.0f} s"
                log.info("%s", trial_line(clock, names, trial, said))
            case Paused(trial, end):
                said = f"{value_text(end)} after epoch {end.epoch}, {end.seconds:.0f} s"
                log.info("%s", trial_line(clock, names, trial, said))

    return hear


def failures(clock: Clock, names: Mapping[str, str]) -> Listener:
    """A listener that logs why a trial failed, whatever else is shown."""

    def hear(event: Event) -> None:
        if isinstance(event, Failed):
            said = f"FAILED: {event.message}"
            log.warning("%s", trial_line(clock, names, event.trial, said))

    return hear


def trial_line(clock: Clock, names: Mapping[str, str], trial: Trial, said: str) -> str:
    """What became of a trial, which of the run's it is, and how long the rest takes."""
    return f"[{clock.ended}/{clock.total}] {trial_text(trial, names)}: {said}{left_text(clock)}"


def decision_text(decided: Decided, stopped: int, candidates: int, clock: Clock) -> str:
    """What is trained next, and what the rest of the run is expected to take from here."""
    stops = f"{stopped} of {candidates} candidates stopped; " if stopped else ""
    end = f"the search has ended, for {decided.ended}; " if decided.ended else ""
    rest = counted(clock.total - clock.ended, "trial")
    left = left_text(clock, ", ")
    return f"{stops}{end}next: {decided.stage}; about {rest} to the end{left}"


def left_text(clock: Clock, before: str = "; about ") -> str:
    """How long the rest of the run takes; nothing where no epoch has told yet."""
    left = clock.left()
    return "" if left is None else f"{before}{duration(left)} left"
