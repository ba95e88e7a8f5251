"""The front: accuracy against flops of the networks that were trained, and what a line is worth.

Accuracies and their draws are those of `fit_effects`, over seeds that networks share. At equal
accuracy two lines are compared by their flops, which are interpolated on a log axis. Where a user's
function trained them, its metric stands wherever accuracy does; inside, more is always better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.families.trained import Kind, Line, Training
from scalesearch.files import optional_document, write_document
from scalesearch.networks.cost import CONVENTION
from scalesearch.networks.latency import Conditions, Timings
from scalesearch.selection.effects import Effects, fit_effects
from scalesearch.selection.losses import loss_matrix
from scalesearch.spaces.metric import Metric
from scalesearch.trials.curve import Point
from scalesearch.trials.key import TrialKey

FILE = "front.json"
LEFT_OUT = 0.05  # the chance that any of the intervals of a front misses
Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontRow:
    """A network that was trained: what it costs, and its accuracy and loss over `seeds` trials.

    Milliseconds, with their interval, are there where it was timed.
    """

    name: str
    resolution: int
    flops: int
    params: int
    activations: int
    seeds: int
    accuracy: float
    interval: Interval | None
    loss: float
    ms: float | None = None
    ms_low: float | None = None
    ms_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """How many times the flops of the first line another needs at equal `accuracy`.

    That is the highest which both reach. `ratio` is None where the other line does not reach even
    what the first begins with, an end of the interval where it may not; both ends are None where
    there are too few seeds for an interval too. Where the other line begins above that accuracy,
    its flops there are not known: `at_most` holds, and there is no interval.
    """

    line: str
    kind: Kind
    accuracy: float
    ratio: float | None
    low: float | None = None
    high: float | None = None
    at_most: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the last growth of a line gained in accuracy, with its interval; whether that is more
    than what seeds may explain."""

    line: str
    last: str
    before: str
    gain: float
    interval: Interval | None
    pays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Trained networks in their lines, and how the first line compares with the others.

    With a `metric` of a user's own what is called accuracy here is that, gains too. `timed` is what
    the networks' latencies depend on.
    """

    title: str
    images: str
    examples: int | None
    held_out: int | None
    epochs: int
    flops_convention: str = CONVENTION
    rows: tuple[FrontRow, ...]
    lines: tuple[Line, ...]
    efficiencies: tuple[Efficiency, ...]
    steps: tuple[Step, ...]
    remarks: tuple[str, ...] = ()
    metric: Metric | None = None
    timed: Conditions | None = None

    def row(self, name: str) -> FrontRow:
        """The row of that network."""
        return next(row for row in self.rows if row.name == name)


def front_of(
    training: Training, ends: Mapping[TrialKey, Point], timings: Timings | None = None
) -> Front | None:
    """The front of the trials that have ended, with latencies where there are; None where none has
    ended."""
    keys = [one.key for one in training.entries if any(key.network == one.key for key in ends)]
    if not keys:
        return None
    entries = {one.key: one for one in training.entries}
    effects = accuracies(keys, ends)
    metric = training.custom.metric if training.custom else None
    lines = trained_lines(training, {entries[key].name for key in keys})
    rows = []
    for i, key in enumerate(keys):
        ms, low, high = latency_of(key, timings)
        one, mine = entries[key], [end for at, end in ends.items() if at.network == key]
        rows.append(
            FrontRow(
                name=one.name,
                resolution=one.resolution,
                flops=one.flops,
                params=one.params,
                activations=one.activations,
                seeds=len(mine),
                accuracy=told(metric, float(effects.means[i])),
                interval=span(metric, within(effects.draws[:, i])) if len(effects.draws) else None,
                loss=float(np.mean([end.loss for end in mine])),
                ms=ms,
                ms_low=low,
                ms_high=high,
            )
        )
    curves = {line.name: curve_of(line, rows, effects) for line in lines}
    first, *others = lines
    return Front(
        title=training.title,
        images=training.images.name,
        examples=training.images.train,
        held_out=training.images.val,
        epochs=training.recipe.epochs,
        rows=tuple(rows),
        lines=lines,
        efficiencies=tuple(
            efficiency(curves[first.name], curves[line.name], line, len(others), metric)
            for line in others
        ),
        steps=tuple(
            last_step(line, curves[line.name], len(lines), metric)
            for line in lines
            if len(line.members) > 1
        ),
        remarks=training.remarks,
        metric=metric,
        timed=timings.conditions if timings and any(row.ms for row in rows) else None,
    )


def latency_of(
    key: str, timings: Timings | None
) -> tuple[float | None, float | None, float | None]:
    """A network's milliseconds and their interval; None where it was not timed."""
    if timings is None or key not in timings.visits:
        return None, None, None
    return timings[key].median, *timings[key].interval


def told(metric: Metric | None, merit: float) -> float:
    """What a merit, of which more is better, is in a metric's own words; an accuracy without."""
    return merit if metric is None else metric.value(-merit)


def span(metric: Metric | None, merits: Interval) -> Interval:
    """What an interval of merits, or of differences, is in a metric's own words."""
    return merits if metric is None else metric.interval((-merits[0], -merits[1]))


def accuracies(keys: Sequence[str], ends: Mapping[TrialKey, Point]) -> Effects:
    """Accuracies (k,) and draws of them (draws, k); no draws where seeds do not tell the noise.

    Of a user's own training, which has no accuracy, the loss with its sign changed.
    """
    found = {
        (key.network, key.seed): -end.loss if end.accuracy is None else end.accuracy
        for key, end in ends.items()
    }
    matrix = loss_matrix(found, keys, sorted({seed for _, seed in found}))
    try:
        return fit_effects(matrix)
    except ValueError:
        return Effects(np.nanmean(matrix, axis=1), np.empty((0, len(keys))))


def trained_lines(training: Training, names: set[str]) -> tuple[Line, ...]:
    """The lines of a training with those of their networks that are in `names`."""
    lines = []
    for line in training.lines:
        members = tuple(name for name in line.members if name in names)
        if members:
            lines.append(Line(name=line.name, kind=line.kind, members=members))
    return tuple(lines)


def within(draws: Floats, share: float = LEFT_OUT) -> Interval:
    """The interval that leaves out that share of the draws, half of it on either side."""
    low, high = np.quantile(draws, [share / 2, 1 - share / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line's log flops (n,), accuracies (n,) and draws of them (draws, n)."""

    flops: Floats
    accuracy: Floats
    draws: Floats

    def reaches(self, level: float, accuracy: Floats) -> float:
        """The log flops at which `accuracy` first is `level`; those of the first network where it
        begins above, infinity where it never comes to it."""
        above = np.flatnonzero(accuracy >= level)
        if not len(above):
            return np.inf
        i = int(above[0])
        if i == 0:
            return float(self.flops[0])
        share = (level - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
        return float(self.flops[i - 1] + share * (self.flops[i] - self.flops[i - 1]))


def curve_of(line: Line, rows: Sequence[FrontRow], effects: Effects) -> Curve:
    """A line as a curve; `rows` and `effects` have the same networks in the same order."""
    names = [row.name for row in rows]
    places = [names.index(name) for name in line.members]
    flops = np.log([rows[i].flops for i in places])
    return Curve(flops, effects.means[places], effects.draws[:, places])


def efficiency(
    mine: Curve, other: Curve, line: Line, among: int, metric: Metric | None
) -> Efficiency:
    """How many times the flops of `mine` the other curve needs, one comparison of so many."""
    level, ratio = times(mine, other, mine.accuracy, other.accuracy)
    if other.accuracy[0] > level and np.isfinite(ratio):
        return Efficiency(
            line=line.name,
            kind=line.kind,
            accuracy=told(metric, level),
            ratio=ratio,
            at_most=True,
        )
    pairs = zip(mine.draws, other.draws, strict=True)
    draws = np.array([times(mine, other, *drawn)[1] for drawn in pairs])
    low, high = within_or_beyond(draws, LEFT_OUT / among) if len(draws) else (np.inf, np.inf)
    return Efficiency(
        line=line.name,
        kind=line.kind,
        accuracy=told(metric, level),
        ratio=ratio if np.isfinite(ratio) else None,
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
    )


def times(mine: Curve, other: Curve, a: Floats, b: Floats) -> tuple[float, float]:
    """The highest accuracy that both reach, and the other's flops over mine there.

    They have the accuracies `a` and `b`. Where the other does not reach what mine begins with, that
    accuracy and infinity; where mine does not reach what the other begins with, the other counts as
    at its first network.
    """
    level = float(min(a.max(), b.max()))
    if level < a[0]:
        return float(a[0]), np.inf
    return level, float(np.exp(other.reaches(level, b) - mine.reaches(level, a)))


def within_or_beyond(draws: Floats, share: float) -> Interval:
    """`within`, of draws that may be infinite: each end is one of the draws."""
    ordered = np.sort(draws)
    cut = int(share / 2 * len(ordered))
    return float(ordered[cut]), float(ordered[-1 - cut])


def last_step(line: Line, curve: Curve, among: int, metric: Metric | None) -> Step:
    """What the last growth of a line gained, one comparison of so many."""
    before, last = line.members[-2:]
    apart = curve.draws[:, -1] - curve.draws[:, -2]
    found = within(apart, LEFT_OUT / among) if len(apart) else None
    return Step(
        line=line.name,
        last=last,
        before=before,
        gain=told(metric, float(curve.accuracy[-1] - curve.accuracy[-2])),
        interval=span(metric, found) if found else None,
        pays=found is None or found[0] > 0,
    )


def write_front(folder: Path, front: Front) -> None:
    """Write front.json."""
    write_document(folder / FILE, front)


def find_front(folder: Path) -> Front | None:
    """The front in a directory, None where there is none."""
    return optional_document(folder / FILE, Front)
