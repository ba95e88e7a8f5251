"""The plan as plan.json, plan.csv and grid.csv have it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from scalesearch.files import read_json, write_json
from scalesearch.networks.checked import explain
from scalesearch.networks.cost import CONVENTION
from scalesearch.networks.latency import Repeats, Timings
from scalesearch.networks.models import Model
from scalesearch.plans.limits import OWN, share
from scalesearch.plans.plan import Plan
from scalesearch.units import Measure, amount

_TIMINGS = TypeAdapter(Timings)
COUNTED: tuple[Measure, ...] = ("flops", "params", "activations")


def arch_row(arch: Model) -> dict[str, Any]:
    """What an arch realises: depths and widths of its stages, resolution."""
    return {
        "depths": list(arch.depths),
        "widths": list(arch.widths),
        "resolution": arch.resolution,
    }


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as `plan --json` prints it and plan.json keeps it."""
    candidates = []
    for candidate in plan.candidates:
        chosen = candidate.coefficients
        candidates.append(
            {
                "key": candidate.key,
                **asdict(chosen),
                "nominal": chosen.nominal,
                "ratio": candidate.ratio,
                **arch_row(candidate.arch),
                **asdict(candidate.cost),
                **{
                    f"{measure}_ratio": share(candidate.cost, plan.baseline_cost, measure)
                    for measure in COUNTED
                },
                **latency_fields(candidate.latency),
                "points": [asdict(point) for point in candidate.points],
            }
        )
    return {
        "space": plan.space.name,
        "proxy": plan.proxy,
        "budget": plan.budget.text,
        "ratio": plan.ratio,
        "tolerance": plan.space.tolerance,
        "budget_text": plan.budget.said,
        "measure": plan.measure,
        "target": plan.target,
        "target_text": amount(plan.target, plan.measure),
        "target_flops": plan.target if plan.measure == "flops" else None,
        "caps": [
            {"text": cap.term.text, "measure": cap.measure, "ratio": cap.ratio}
            for cap in plan.limits[1:]
        ],
        "latency": latency_document(plan),
        "flops_convention": CONVENTION,
        "grid_points": plan.grid_points,
        "distinct": plan.distinct,
        "feasible": len(plan.candidates),
        "baseline": {
            "name": plan.baseline.name,
            "key": plan.baseline.key,
            **arch_row(plan.baseline),
            **asdict(plan.baseline_cost),
            **latency_fields(plan.timings[plan.baseline.key] if plan.timings else None),
        },
        "candidates": candidates,
    }


def latency_fields(latency: Repeats | None) -> dict[str, float | None]:
    """A latency as a row has it: milliseconds, and their interval; nothing where none was timed."""
    low, high = latency.interval if latency else (None, None)
    return {"ms": latency.median if latency else None, "ms_low": low, "ms_high": high}


def latency_document(plan: Plan) -> dict[str, Any] | None:
    """Under which conditions a plan's latencies were timed; None where none were."""
    if plan.timings is None:
        return None
    own = plan.timings[OWN] if OWN in plan.timings.visits else None
    return {
        **asdict(plan.timings.conditions),
        "unclear": plan.unclear,
        **{f"own_{name}": value for name, value in latency_fields(own).items()},
    }


def write_timings(path: Path, timings: Timings) -> None:
    """Write latencies, so that a study keeps those that its plan was made with."""
    write_json(path, asdict(timings))


def read_timings(path: Path) -> Timings | None:
    """The latencies in a study's file, None where it has none. Raises ValueError for no such."""
    if not path.exists():
        return None
    try:
        return _TIMINGS.validate_python(read_json(path))
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, (Timings,))}") from None


def plan_table(document: dict[str, Any]) -> pd.DataFrame:
    """The candidates of a plan as a flat table; lists are written with spaces between."""
    rows = []
    for candidate in document["candidates"]:
        row = {key: value for key, value in candidate.items() if key != "points"}
        row["depths"] = " ".join(map(str, row["depths"]))
        row["widths"] = " ".join(map(str, row["widths"]))
        row["grid_points"] = len(candidate["points"])
        rows.append(row)
    return pd.DataFrame(rows)


def grid_table(plan: Plan) -> pd.DataFrame:
    """Every distinct network of a plan's grid: nominal and counted cost, whether it is feasible."""
    feasible = {point for candidate in plan.candidates for point in candidate.points}
    ratios = [(point, flops, flops / plan.baseline_cost.flops) for point, flops in plan.networks]
    rows = [
        {
            **asdict(point),
            "nominal": point.nominal,
            "flops": flops,
            "ratio": ratio,
            "feasible": point in feasible,
        }
        for point, flops, ratio in ratios
    ]
    return pd.DataFrame(rows)
