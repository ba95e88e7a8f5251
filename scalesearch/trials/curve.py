"""A learning curve: what is known after each epoch of a trial, as it is recorded."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """One epoch of a learning curve: cross-entropies, accuracy, seconds of training so far."""

    epoch: int
    loss: float
    accuracy: float
    train_loss: float
    seconds: float


LearningCurve = tuple[Point, ...]


def read_curve(rows: Iterable[Mapping[str, Any]]) -> LearningCurve:
    """The learning curve that a journal has as rows. Raises what a row that is none raises."""
    numbers = ("loss", "accuracy", "train_loss", "seconds")
    return tuple(Point(int(row["epoch"]), *(finite(row[name]) for name in numbers)) for row in rows)


def finite(value: Any) -> float:
    """A recorded number. Raises ValueError for one that no epoch ends with."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a recorded number must be finite, got {number}")
    return number
