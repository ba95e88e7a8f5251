"""How long a run's work takes so many workers, who wait where what follows is yet to be decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from scalesearch.search.events import Work

Name = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Round:
    """Work that is decided on at once, each part by a name; `sure` names parts of later rounds that
    may be begun in this one."""

    work: Mapping[Name, Work]
    sure: frozenset[Name] = frozenset()


def wall_time(rounds: Sequence[Round], seconds: Callable[[Work], float], workers: int) -> float:
    """Seconds from the first round's begin to the last one's end.

    A round begins when all of the one before has ended. Its parts are begun in their order, each by
    the worker that is free first; whoever would then wait for its end takes what is sure.
    """
    parts = {name: part for one in rounds for name, part in one.work.items()}
    ends: dict[Name, float] = {}
    free = [0.0] * workers
    heapify(free)
    now = 0.0

    def begin(name: Name) -> None:
        ends[name] = max(heappop(free), now) + seconds(parts[name])
        heappush(free, ends[name])

    for one in rounds:
        for name in one.work:
            if name not in ends:
                begin(name)
        end = max((ends[name] for name in one.work), default=now)
        for name in (name for name in parts if name in one.sure):
            if name not in ends and free[0] < end:
                begin(name)
        now = end
    return max(ends.values(), default=0.0)
