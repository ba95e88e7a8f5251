"""The number that a study compares networks by, and the one rule of its sign. No torch."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

# columns of tables, and what a training function yields beside its metric
TAKEN = {
    *("number", "candidate", "alpha", "beta", "gamma", "flops", "seed", "split", "state"),
    *("epoch", "epochs", "seconds", "error", "pruned", "node", "device", "python", "torch"),
    *("examples", "checkpoint"),
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid", use_attribute_docstrings=True))
class Metric:
    """What a training function tells after each epoch, and which way is better.

    Inside, everything is a loss, of which less is better: a metric of goal min is one, and that of
    goal max is taken as its negative. Only here one becomes the other.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_@.:-]{0,39}$")]
    """As `train` yields it, and as tables and reports call it."""
    goal: Literal["min", "max"]
    """Whether less or more of it is better."""

    def __post_init__(self) -> None:
        if self.name in TAKEN:
            raise ValueError(
                f"a metric's name must be none of a table's own columns, got {self.name}"
            )

    def loss(self, value: float) -> float:
        """What a value is inside, less being better."""
        return value if self.goal == "min" else 0.0 - value  # not -0.0, which prints as such

    def value(self, loss: float) -> float:
        """What a loss is in the metric's own words; so for a difference of two losses."""
        return self.loss(loss)

    def interval(self, losses: tuple[float, float]) -> tuple[float, float]:
        """What an interval of losses, or of differences, is in the metric's own words."""
        low, high = sorted(map(self.value, losses))
        return low, high

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return "lower is better" if self.goal == "min" else "higher is better"


LOSS = Metric(name="loss", goal="min")
