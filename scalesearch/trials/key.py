"""What tells a trial from the others of its study."""

from typing import Literal, NamedTuple, get_args

# validated or tested after the last epoch, or validated at another learning rate
Part = Literal["val", "test", "slow", "fast"]
PARTS: tuple[Part, ...] = get_args(Part)
# the sweep of the learning rate: what multiplies the recipe's own in each part
RATES: dict[Part, float] = {"slow": 0.5, "val": 1.0, "fast": 2.0}


class TrialKey(NamedTuple):
    """One trial of a study: a network's key, the seed, and the part of the study."""

    network: str
    seed: int
    part: Part

    @property
    def stem(self) -> str:
        """The name of its files, without their suffix."""
        return f"{self.network}-{self.seed}-{self.part}"


def part_at(rate: float) -> Part:
    """The part of a study in which the recipe's learning rate is multiplied by `rate`."""
    return next(part for part, each in RATES.items() if each == rate)
