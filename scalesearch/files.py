"""The study directory: every file that one command leaves and the next one reads.

space.yaml  plan.json  plan.csv  grid.csv  latency.json  study.journal  losses/  checkpoints/
progress.json  trials.csv  curves.csv  run.json  selection.json  verify.json
family.json  family.csv  family/*.yaml  report.md  report.html  figures/
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from scalesearch import zoo
from scalesearch.budget import NAMES, Measure
from scalesearch.cost import auxiliary_params, cost
from scalesearch.family import Member
from scalesearch.latency import Repeats, Timings
from scalesearch.limits import OWN, share
from scalesearch.model_files import dump_model
from scalesearch.models import Model
from scalesearch.plan import Plan, all_counted
from scalesearch.published import PARAMETER_NOTES, published_top1
from scalesearch.space import explain

CONVENTION = "multiply-adds of convolutions and matrix products, counted by fvcore"
_TIMINGS = TypeAdapter(Timings)
COUNTED: tuple[Measure, ...] = ("flops", "params", "activations")


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write_text(path, table.to_csv(index=False))


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises ValueError, in one line, where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: {error}") from None


def study_folder(results: Path, name: str) -> Path:
    """The directory of the study of that name. Raises ValueError for a name that leaves it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            "a study's name must be letters, digits, '.', '_' and '-', at most 100 and no '.' "
            f"first; got {name!r}"
        )
    return results / name


def arch_row(arch: Model) -> dict[str, Any]:
    """What an arch realises: depths and widths of its stages, resolution."""
    return {
        "depths": list(arch.depths),
        "widths": list(arch.widths),
        "resolution": arch.resolution,
    }


def short(value: float) -> str:
    """A count with a unit, in three digits: 1.83G."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def milliseconds(row: Mapping[str, Any]) -> str:
    """A row's latency and half of its interval: 12.3±0.2; nothing where none was timed."""
    if row.get("ms") is None:
        return ""
    return f"{row['ms']:.3g}±{(row['ms_high'] - row['ms_low']) / 2:.2g}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def model_rows() -> list[dict[str, Any]]:
    """Every model of the zoo: cost at its own resolution, and published top-1 with its source."""
    models = {arch.key: arch for room in zoo.FAMILIES.values() for arch in room.MODELS.values()}
    counts = all_counted(dict(models))
    return [
        {
            "model": name,
            "family": family,
            "resolution": arch.resolution,
            "train_resolution": arch.train_resolution or arch.resolution,
            **asdict(counts[arch.key]),
            "auxiliary_params": auxiliary_params(arch),
            "note": PARAMETER_NOTES.get(name, ""),
            "published": [asdict(row) for row in published_top1(name)],
        }
        for family, room in zoo.FAMILIES.items()
        for name, arch in room.MODELS.items()
    ]


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


def amount(value: float, measure: Measure) -> str:
    """An amount of a measure in words: 771M flops, 2.31 ms."""
    return f"{value:.3g} ms" if measure == "ms" else f"{short(value)} {NAMES[measure]}"


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
        raise ValueError(f"{path}: {explain(error)}") from None


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


def member_row(member: Member) -> dict[str, Any]:
    """A member of a family as `scale --json` prints it."""
    return {
        "name": member.name,
        "phi": member.phi,
        "depth": member.scale.depth,
        "width": member.scale.width,
        "resolution": member.arch.resolution,
        **asdict(member.cost),
        "ratio": member.ratio,
        "measure": member.measure,
        **latency_fields(member.latency),
    }


def family_document(
    space: str,
    mode: str,
    baseline: Model,
    members: list[Member],
    matched: dict[str, list[Member]],
    warnings: list[str] | None = None,
) -> dict[str, Any]:
    """A family and those matched to it as `scale --json` prints them."""
    return {
        "space": space,
        "mode": mode,
        "flops_convention": CONVENTION,
        "baseline": {"name": baseline.name, **arch_row(baseline), **asdict(cost(baseline))},
        "members": [member_row(member) for member in members],
        "matched": {name: [member_row(m) for m in others] for name, others in matched.items()},
        "warnings": warnings or [],
    }


def write_family_files(
    folder: Path,
    document: dict[str, Any],
    members: list[Member],
    matched: dict[str, list[Member]],
) -> None:
    """Write family.json, family.csv and a YAML for each member that `scalesearch.build` reads."""
    everyone = [*members, *(member for others in matched.values() for member in others)]
    for member in everyone:
        write_text(folder / "family" / f"{member.name}.yaml", dump_model(member.arch))
    write_csv(folder / "family.csv", pd.DataFrame([member_row(member) for member in everyone]))
    write_json(folder / "family.json", document)
