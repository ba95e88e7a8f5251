"""How far a run is and how long it still takes: counted in trials, and in the work of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scalesearch.search.events import (
    Asked,
    Completed,
    Decided,
    Epoch,
    Event,
    Failed,
    Lost,
    Paused,
)
from scalesearch.trials.key import TrialKey


@dataclass(slots=True)
class Clock:
    """A listener that knows how much of a run is done, and expects how long the rest takes.

    `weight` is what an epoch of a network takes, beside the others'. `ended` counts trials that
    paused, completed or failed, each time; `total` is how many the whole run is expected to have,
    at most `most` of them.
    """

    weight: Callable[[str], float]
    most: int | None = None
    ended: int = 0
    total: int = 0
    started: float | None = None  # when the first trial was
    _ahead: float = 0.0  # work that no trial has begun
    _spent: float = 0.0
    _begun: dict[TrialKey, tuple[float, float]] = field(default_factory=dict)  # whole and left

    def hear(self, event: Event) -> None:
        """Count what has happened."""
        match event:
            case Decided(ahead=ahead):
                known = self.ended + len(self._begun)
                room = None if self.most is None else max(0, self.most - known)
                ahead = ahead[:room]
                self.total = known + len(ahead)
                self._ahead = sum(part.epochs * self.weight(part.network) for part in ahead)
            case Asked(trial, trained):
                self.started = self.started or time.monotonic()
                whole = (trial.last - trained) * self.weight(trial.key.network)
                self._begun[trial.key] = (whole, whole)
                self._ahead = max(0.0, self._ahead - whole)
            case Epoch(trial, metrics):
                rest = (trial.last - metrics.epoch) * self.weight(trial.key.network)
                whole, before = self._begun[trial.key]
                self._begun[trial.key] = (whole, rest)
                self._spent += before - rest
            case Paused(trial) | Completed(trial) | Failed(trial):
                self._begun.pop(trial.key)
                self.ended += 1
            case Lost(trial):
                whole, _ = self._begun.pop(trial.key)
                self._ahead += whole

    def left(self) -> float | None:
        """Seconds that the rest of the run is expected to take; None before its first epoch."""
        if not self._spent or self.started is None:
            return None
        todo = self._ahead + sum(left for _, left in self._begun.values())
        return (time.monotonic() - self.started) / self._spent * todo
