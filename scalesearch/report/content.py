"""What a report says: a study's files read into one plain structure for the templates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scalesearch.files import read_json


@dataclass(frozen=True, slots=True)
class Content:
    """A study's files, and the table of its candidates, best first, the baseline last."""

    name: str
    plan: dict[str, Any]
    selection: dict[str, Any]
    run: dict[str, Any]
    space: dict[str, Any]
    family: dict[str, Any] | None
    verified: dict[str, Any] | None
    trials: pd.DataFrame
    curves: pd.DataFrame
    candidates: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    failures: list[dict[str, Any]]

    @property
    def proxy(self) -> dict[str, Any]:
        """The proxy that was trained."""
        proxy: dict[str, Any] = self.space["proxies"][self.plan["proxy"]]
        return proxy


def read_content(folder: Path) -> Content:
    """The content of a study's report. Raises ValueError where a file of it is missing."""
    plan = read_json(folder / "plan.json")
    selection = read_json(folder / "selection.json")
    family, verified = folder / "family.json", folder / "verify.json"
    trials = pd.read_csv(folder / "trials.csv", dtype={"error": "string"})
    return Content(
        name=folder.name,
        plan=plan,
        selection=selection,
        run=read_json(folder / "run.json"),
        space=yaml.safe_load((folder / "space.yaml").read_text(encoding="utf-8")),
        family=read_json(family) if family.exists() and selection["recommended"] else None,
        verified=read_json(verified) if verified.exists() else None,
        trials=trials,
        curves=pd.read_csv(folder / "curves.csv"),
        candidates=candidate_rows(plan, selection, trials),
        tests=test_rows(plan, selection, trials),
        failures=records(trials[trials["state"] == "FAIL"]),
    )


def candidate_rows(
    plan: dict[str, Any], selection: dict[str, Any], trials: pd.DataFrame
) -> list[dict[str, Any]]:
    """Plan, standing and trials of every candidate in one row each, best first; then the 1x."""
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    standings = {row["key"]: row for row in selection["standings"]}
    ranks = {key: rank for rank, key in enumerate(standings)}
    rows = []
    for candidate in [*plan["candidates"], {**plan["baseline"], "ratio": 1.0}]:
        mine = done[done["candidate"] == candidate["key"]]
        rows.append(
            {
                **candidate,
                "standing": standings.get(candidate["key"]),
                "stopped": selection["stopped"].get(candidate["key"]),
                "is_baseline": candidate["key"] == plan["baseline"]["key"],
                "n": len(mine),
                "loss": mean(mine["loss"]),
                "accuracy": mean(mine["accuracy"]),
                "accuracy_low": mine["accuracy"].min(),
                "accuracy_high": mine["accuracy"].max(),
                "seconds": mean(mine["seconds"]),
            }
        )
    return sorted(rows, key=lambda row: (row["is_baseline"], ranks.get(row["key"], len(ranks))))


def mean(values: "pd.Series[float]") -> float | None:
    """The mean of a column, None of an empty one."""
    return float(values.mean()) if len(values) else None


def test_rows(
    plan: dict[str, Any], selection: dict[str, Any], trials: pd.DataFrame
) -> list[dict[str, Any]]:
    """The one look at the test split: the chosen network and the baseline."""
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "test")]
    names = {plan["baseline"]["key"]: "1x baseline", selection["chosen"]: "chosen"}
    return [
        {**row, "name": names[row["candidate"]]}
        for row in records(done)
        if row["candidate"] in names
    ]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
