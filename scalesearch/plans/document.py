"""The plan: what plan.json keeps, `plan --json` prints, and `select` and `report` read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

import pandas as pd
from pydantic import Field

from scalesearch.files import (
    Keys,
    optional_document,
    plain,
    read_document,
    write_csv,
    write_document,
)
from scalesearch.networks.cost import CONVENTION
from scalesearch.networks.latency import Conditions, Timings
from scalesearch.networks.measured import Measured
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.look import Look
from scalesearch.plans.stands import Stand
from scalesearch.spaces.budget import Budget, parse_budget
from scalesearch.units import Measure, amount

FILE = "plan.json"
COUNTED: tuple[Measure, ...] = ("flops", "params", "activations")


class Point(NamedTuple):
    """A distinct network of the grid: its nearest grid point, its flops by count."""

    coefficients: Coefficients
    flops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Measured):
    """A distinct network at phi = 1: its shape, its measured cost, all grid points that realise it.

    `ratio` is to the baseline by the measure of the budget's target, with the others beside it;
    that of latency has an interval. alpha, beta, gamma are those of the network of the model itself
    that it stands for. That and what is `inside` are None in files of the first version, whose
    coefficients are the grid point's.
    """

    name: str = ""
    key: str
    alpha: float
    beta: float
    gamma: float
    nominal: float
    ratio: float
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    flops_ratio: float
    params_ratio: float
    activations_ratio: float
    ms_ratio: float | None = None
    ms_ratio_low: float | None = None
    ms_ratio_high: float | None = None
    inside: Look | None = None
    stand: Stand | None = None
    points: tuple[Coefficients, ...]

    @property
    def coefficients(self) -> Coefficients:
        """The coefficients of the network of the model that it stands for."""
        return Coefficients(self.alpha, self.beta, self.gamma)

    @property
    def grid_point(self) -> Coefficients:
        """Of the grid points that realise it the one whose nominal cost is nearest its flops."""
        return nearest_point(self.points, self.flops_ratio)

    @property
    def label(self) -> str:
        """Its coefficients in brief: 1/1.4/1.143."""
        return self.coefficients.label

    def interval(self, measure: Measure) -> tuple[float, float]:
        """Its ratio to the baseline by any measure, as the interval that it is in."""
        if measure != "ms":
            ratio: float = getattr(self, f"{measure}_ratio")
            return ratio, ratio
        assert self.ms_ratio_low is not None and self.ms_ratio_high is not None
        return self.ms_ratio_low, self.ms_ratio_high


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A network of the grid within the budget that is no candidate, and what it would stand for.

    `candidate` is the key of one that stands for the same network of the model, None where the
    gamma of that is another than its own.
    """

    key: str
    point: Coefficients
    ratio: float
    stand: Stand
    candidate: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """What a network may cost at most, as a ratio to the baseline."""

    text: str
    measure: Measure
    ratio: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Under which conditions latencies were timed, and those of the space's own model.

    `unclear` is how many networks were left out because their latency may be within the budget or
    not.
    """

    device: str
    torch: str
    threads: int
    batch: int
    unclear: int = 0
    own_ms: float | None = None
    own_ms_low: float | None = None
    own_ms_high: float | None = None

    @property
    def conditions(self) -> Conditions:
        """The conditions that another latency must have to be compared with these."""
        return Conditions(self.device, self.torch, self.threads, self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Candidates that meet the budget, in order of their coefficients, and how they were found.

    `target` is what the budget's target comes to for the proxy, by its measure; `ratio` that over
    the baseline's. The baseline stands at 1/1/1. `feasible` is how many networks are within the
    budget: the candidates, and those that were `left_out` for what they stand for. `images` is the
    side of the data's own, in pixels, where it is known; `remarks` are what is wrong with the
    proxy. `timings` and `networks` (every distinct network of the grid) are not in the file:
    latency.json and grid.csv have them.
    """

    space: str
    proxy: str
    budget: str
    ratio: float
    tolerance: float
    budget_text: str
    measure: Measure
    target: float
    target_text: str
    target_flops: float | None
    caps: tuple[Cap, ...] = ()
    latency: Latency | None = None
    flops_convention: str = CONVENTION
    grid_points: int
    distinct: int
    feasible: int
    images: int | None = None
    remarks: tuple[str, ...] = ()
    baseline: Candidate
    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = ()
    timings: Annotated[Timings | None, Field(exclude=True)] = field(
        default=None, compare=False, repr=False
    )
    networks: Annotated[tuple[Point, ...], Field(exclude=True)] = field(
        default=(), compare=False, repr=False
    )

    @property
    def asked(self) -> Budget:
        """The budget as its terms."""
        return parse_budget(self.budget)

    @property
    def names(self) -> dict[str, str]:
        """What the terminal calls each network: its coefficients, or 1x."""
        labels = {candidate.key: candidate.label for candidate in self.candidates}
        return {self.baseline.key: "1x baseline", **labels}


def nearest_point(points: Sequence[Coefficients], ratio: float) -> Coefficients:
    """The point whose nominal cost is nearest to a measured one."""
    return min(points, key=lambda point: (abs(point.nominal - ratio), point))


def write_plan(folder: Path, plan: Plan) -> None:
    """Write plan.json, plan.csv and grid.csv, and latency.json where latencies were timed."""
    write_document(folder / FILE, plan)
    write_csv(folder / "plan.csv", plan_table(plan))
    if plan.timings is not None:
        write_timings(folder / "latency.json", plan.timings)
    write_csv(folder / "grid.csv", grid_table(plan))


def read_plan(folder: Path) -> Plan:
    """The plan of a study. Raises ValueError, in one line, where it has none."""
    return read_document(folder / FILE, Plan, renewed)


def find_plan(folder: Path) -> Plan | None:
    """The plan of a study, None where it has none."""
    return optional_document(folder / FILE, Plan, renewed)


def renewed(old: Keys) -> Keys:
    """A plan's keys as today's. The first version knew budgets in flops alone, and told the
    baseline without ratios."""
    start = {
        **{axis: 1.0 for axis in ("alpha", "beta", "gamma", "nominal", "ratio")},
        "points": [{"alpha": 1.0, "beta": 1.0, "gamma": 1.0}],
        **old["baseline"],
    }

    def with_ratios(row: Keys) -> Keys:
        return {f"{measure}_ratio": row[measure] / start[measure] for measure in COUNTED} | row

    flops = old.get("target_flops")
    target = {} if flops is None else {"target": flops, "target_text": amount(flops, "flops")}
    return {
        "measure": "flops",
        "budget_text": old["budget"],
        **target,
        **old,
        "baseline": with_ratios(start),
        "candidates": [with_ratios(row) for row in old["candidates"]],
    }


def write_timings(path: Path, timings: Timings) -> None:
    """Write latencies, so that a study keeps those that its plan was made with."""
    write_document(path, timings)


def read_timings(path: Path) -> Timings | None:
    """The latencies in a study's file, None where it has none. Raises ValueError for no such."""
    return optional_document(path, Timings)


def plan_table(plan: Plan) -> pd.DataFrame:
    """The candidates of a plan as a flat table; lists are written with spaces between."""
    rows = []
    for candidate in plan.candidates:
        row = plain(candidate)
        row |= {name: " ".join(map(str, row[name])) for name in ("depths", "widths")}
        rows.append({**row, **stand_columns(candidate), "grid_points": len(candidate.points)})
    return pd.DataFrame(rows).drop(columns=["points", "name", "inside", "stand"], errors="ignore")


def stand_columns(candidate: Candidate) -> Keys:
    """The gamma of a candidate, and the network of the model that it stands for."""
    if (stand := candidate.stand) is None:
        return {}
    return {
        "proxy_gamma": stand.proxy_gamma,
        "model_resolution": stand.resolution,
        "model_flops": stand.flops,
        "model_ratio": stand.ratio,
    }


def grid_table(plan: Plan) -> pd.DataFrame:
    """Every distinct network of a plan's grid: nominal and counted cost, whether it is feasible."""
    feasible = {*chain.from_iterable(candidate.points for candidate in plan.candidates)}
    feasible |= {row.point for row in plan.left_out}
    rows: list[Mapping[str, float | bool]] = [
        {
            "alpha": point.alpha,
            "beta": point.beta,
            "gamma": point.gamma,
            "nominal": point.nominal,
            "flops": flops,
            "ratio": flops / plan.baseline.flops,
            "feasible": point in feasible,
        }
        for point, flops in plan.networks
    ]
    return pd.DataFrame(rows)
