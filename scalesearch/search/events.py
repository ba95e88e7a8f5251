"""What happens in a run, as its one loop tells it to whoever listens."""

from collections.abc import Callable
from dataclasses import dataclass

from scalesearch.trials.curve import Point
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class Work:
    """A part of a run: a network trained for so many epochs, until its trial pauses or ends."""

    network: str
    epochs: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What is trained next, in words too; none where nothing more is wanted.

    `ahead` is all the work expected from here to the end of the run, that of `trials` first, but
    for what is begun;
    `stopped` how many candidates have been stopped so far; `ended` why the search has ended, and
    "" while it has not. `sure` are trained later in any case, and by workers that `trials` leave
    idle; what follows is decided when `trials` have ended.
    """

    stage: str
    trials: tuple[Trial, ...] = ()
    ahead: tuple[Work, ...] = ()
    stopped: int = 0
    ended: str = ""
    sure: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A runner has taken a trial, of which so many epochs are on record."""

    trial: Trial
    trained: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """A trial has been trained for another epoch, and that is recorded."""

    trial: Trial
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Paused:
    """A trial has come as far as it was to for now, or was stopped; `end` is its last epoch."""

    trial: Trial
    end: Point


@dataclass(frozen=True, slots=True)
class Completed:
    """A trial has come to its last epoch."""

    trial: Trial
    end: Point


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial has raised, with why in one line."""

    trial: Trial
    message: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A trial's worker has died; the trial is asked for again, unless that happened too often."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended, nothing runs any more; `halted` is why that was before its end, or ""."""

    halted: str


Event = Decided | Asked | Epoch | Paused | Completed | Failed | Lost | Ended
Listener = Callable[[Event], None]
