"""What a report says: a study's files read into one plain structure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from scalesearch.files import read_json
from scalesearch.report.transfer import Transfer, read_transfer

TRIALS = ["candidate", "seed", "split", "state", "epochs", "loss", "accuracy", "seconds", "error"]
CURVES = ["candidate", "seed", "epoch", "loss", "accuracy"]
# what selection.json would say of a study that has none yet
UNDECIDED: dict[str, Any] = {
    "headline": "No answer yet: the study has no selection.",
    "recommended": False,
    "coefficients": None,
    "chosen": None,
    "confidence_set": [],
    "ties": [],
    "gates": [],
    "standings": [],
    "stopped": {},
    "warnings": [],
}


@dataclass(frozen=True, slots=True)
class Content:
    """A study's files, and the rows of its candidates, best first, the baseline last.

    `selection` is UNDECIDED and `run` None where the study has not come that far.
    """

    name: str
    plan: dict[str, Any]
    selection: dict[str, Any]
    run: dict[str, Any] | None
    space: dict[str, Any]
    family: dict[str, Any] | None
    transfer: Transfer | None
    grid: list[dict[str, Any]]
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

    @property
    def answered(self) -> bool:
        """Whether the study has a selection."""
        return bool(self.selection["standings"])

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The candidates and the baseline by key."""
        return {row["key"]: row for row in self.candidates}

    @property
    def states(self) -> dict[str, int]:
        """How many trials there are in each state."""
        return {str(state): int(n) for state, n in self.trials["state"].value_counts().items()}

    @property
    def made_with(self) -> dict[str, str]:
        """Device and versions: the run's record, else what the trials say."""
        if self.run is not None:
            return {str(key): str(value) for key, value in self.run["versions"].items()}
        there = [name for name in ("device", "python", "torch") if name in self.trials]
        found = {name: self.trials[name].dropna().astype(str).unique() for name in there}
        return {name: ", ".join(values) for name, values in found.items() if len(values)}


def read_content(folder: Path) -> Content:
    """The content of a study's report, as far as the study has come.

    Raises ValueError where the directory has no plan.
    """
    plan = read_json(folder / "plan.json")
    selection = optional(folder / "selection.json") or UNDECIDED
    trials = table(folder / "trials.csv", TRIALS)
    return Content(
        name=folder.resolve().name,
        plan=plan,
        selection=selection,
        run=optional(folder / "run.json"),
        space=yaml.safe_load((folder / "space.yaml").read_text(encoding="utf-8")),
        family=optional(folder / "family.json") if selection["recommended"] else None,
        transfer=read_transfer(folder),
        grid=records(table(folder / "grid.csv", [])),
        trials=trials,
        curves=table(folder / "curves.csv", CURVES),
        candidates=candidate_rows(plan, selection, trials),
        tests=test_rows(plan, selection, trials),
        failures=records(trials[trials["state"] == "FAIL"]),
    )


def optional(path: Path) -> Any:
    """The content of a JSON file, None where there is none."""
    return read_json(path) if path.exists() else None


def table(path: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV file, or an empty table of those columns. Raises ValueError where it is no CSV."""
    if not path.exists() or path.stat().st_size <= 1:
        return pd.DataFrame(columns=columns)
    try:
        found = pd.read_csv(path, dtype={"error": "string", "candidate": "string"})
    except (pd.errors.ParserError, UnicodeError) as error:
        raise ValueError(f"{path} must be CSV: {' '.join(str(error).split())}") from None
    if missing := [name for name in columns if name not in found]:
        raise ValueError(f"{path} must have the columns {', '.join(columns)}, lacks {missing[0]}")
    return found


def candidate_rows(
    plan: dict[str, Any], selection: dict[str, Any], trials: pd.DataFrame
) -> list[dict[str, Any]]:
    """Plan, standing and trials of every candidate in one row each, best first; then the 1x."""
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    standings = {row["key"]: row for row in selection["standings"]}
    ranks = {key: rank for rank, key in enumerate(standings)}
    rows = []
    for candidate in [*plan["candidates"], {**plan["baseline"], "ratio": 1.0, "nominal": 1.0}]:
        mine = done[done["candidate"] == candidate["key"]]
        is_baseline = candidate["key"] == plan["baseline"]["key"]
        row = {
            **candidate,
            "standing": standings.get(candidate["key"]),
            "stopped": selection["stopped"].get(candidate["key"]),
            "is_baseline": is_baseline,
            "is_chosen": selection["recommended"] and candidate["key"] == selection["chosen"],
            "n": len(mine),
            "loss": mean(mine["loss"]),
            "accuracy": mean(mine["accuracy"]),
            "accuracy_low": float(mine["accuracy"].min()) if len(mine) else None,
            "accuracy_high": float(mine["accuracy"].max()) if len(mine) else None,
            "seconds": mean(mine["seconds"]),
        }
        rows.append({**row, "name": name_of(row), "group": group_of(row)})
    unranked = len(ranks)
    return sorted(rows, key=lambda row: (row["is_baseline"], ranks.get(row["key"], unranked)))


def name_of(row: dict[str, Any]) -> str:
    """A candidate's coefficients."""
    if row["is_baseline"]:
        return "1x baseline"
    return f"α {row['alpha']:g}  β {row['beta']:g}  γ {row['gamma']:g}"


GROUPS = {
    "1x baseline": "ink",
    "chosen": "chosen",
    "may be the best (95 % set)": "tied",
    "worse than the best": "other",
    "stopped early": "other",
    "not compared yet": "tied",
}


def group_of(row: dict[str, Any]) -> str:
    """What the legend calls a network: one of GROUPS."""
    if row["is_baseline"]:
        return "1x baseline"
    if row["is_chosen"]:
        return "chosen"
    if row["standing"]:
        inside = row["standing"]["in_set"]
        return "may be the best (95 % set)" if inside else "worse than the best"
    return "stopped early" if row["stopped"] else "not compared yet"


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


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
