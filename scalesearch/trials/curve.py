"""A learning curve: what is known after each epoch of a trial, as it is recorded."""

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
    return tuple(
        Point(
            int(row["epoch"]),
            float(row["loss"]),
            float(row["accuracy"]),
            float(row["train_loss"]),
            float(row["seconds"]),
        )
        for row in rows
    )
