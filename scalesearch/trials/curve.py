"""A learning curve: what is known after each epoch of a trial, as it is recorded."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """One epoch of a learning curve: cross-entropies, accuracy, seconds of training so far.

    Of a user's own training `loss` is the metric, as Metric.loss has it, and the only one.
    """

    epoch: int
    loss: float
    accuracy: float | None
    train_loss: float | None
    seconds: float


LearningCurve = tuple[Point, ...]


def read_curve(rows: Iterable[Mapping[str, Any]]) -> LearningCurve:
    """The learning curve that a journal has as rows. Raises what a row that is none raises."""
    return tuple(
        Point(
            epoch=int(row["epoch"]),
            loss=finite(row["loss"]),
            accuracy=None if row["accuracy"] is None else finite(row["accuracy"]),
            train_loss=None if row["train_loss"] is None else finite(row["train_loss"]),
            seconds=finite(row["seconds"]),
        )
        for row in rows
    )


def finite(value: Any) -> float:
    """A recorded number. Raises ValueError for one that no epoch ends with."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a recorded number must be finite, got {number}")
    return number
