"""How long a run's work takes so many workers, who wait where what follows is yet to be decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from scalesearch.search.events import Work
from scalesearch.selection.terms import Ask


@dataclass(frozen=True, slots=True)
class Round:
    """Work that is decided on at once, by what was asked for; `sure` is asked for in later rounds,
    and may be begun in this one."""

    work: Mapping[Ask, Work]
    sure: frozenset[Ask] = frozenset()


def in_one_round(work: Sequence[Work]) -> Round:
    """Work of which no part waits for another."""
    return Round({Ask(part.network, i, part.epochs): part for i, part in enumerate(work)})


def wall_time(rounds: Sequence[Round], seconds: Callable[[Work], float], workers: int) -> float:
    """Seconds from the first round's begin to the last one's end.

    A round begins when all of the one before has ended. Its parts are begun in their order, each by
    the worker that is free first; whoever would then wait for its end takes what is sure.
    """
    parts = {ask: part for one in rounds for ask, part in one.work.items()}
    ends: dict[Ask, float] = {}
    free = [0.0] * workers
    heapify(free)
    now = 0.0

    def begin(ask: Ask) -> None:
        ends[ask] = max(heappop(free), now) + seconds(parts[ask])
        heappush(free, ends[ask])

    for one in rounds:
        for ask in one.work:
            if ask not in ends:
                begin(ask)
        end = max([now, *(ends[ask] for ask in one.work)])
        for ask in (ask for ask in parts if ask in one.sure):
            if ask not in ends and free[0] < end:
                begin(ask)
        now = end
    return max(ends.values(), default=0.0)
