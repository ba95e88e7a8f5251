"""What a policy is given, and what it answers: the terms of a search, and its next trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scalesearch.selection.losses import Curves


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy has to decide about: candidates, the 1x baseline, seeds and epochs at most."""

    candidates: tuple[str, ...]
    baseline: str
    seeds: int
    epochs: int
    failed: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """Train a network with a seed until that epoch."""

    key: str
    seed: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Stop:
    """That a candidate is trained no further than to `epoch`, and why."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to train next; nothing, and why, where the search has ended. `stops` are all so far.

    `sure` will be asked for later, whatever the losses come to: a worker that would wait for the
    last of `asks` may begin them.
    """

    asks: tuple[Ask, ...] = ()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    ended: str = ""
    sure: tuple[Ask, ...] = ()


Policy = Callable[[Curves, Terms], Decision]


def reached(curves: Curves, key: str, seed: int) -> int:
    """How many epochs of a trial are known."""
    return len(curves.get((key, seed), ()))


def missing(
    curves: Curves, terms: Terms, keys: Sequence[str], seeds: Sequence[int], epochs: int
) -> tuple[Ask, ...]:
    """The trials that have yet to reach that epoch; a seed's stand together."""
    return tuple(
        Ask(key, seed, epochs)
        for seed in seeds
        for key in keys
        if (key, seed) not in terms.failed and reached(curves, key, seed) < epochs
    )
