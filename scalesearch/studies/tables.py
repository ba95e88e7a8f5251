"""A study as tables, read without writing to it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from scalesearch.plans.document import Plan, find_plan
from scalesearch.spaces.files import load_space
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.studies.journal import (
    PART,
    driver_of,
    frozen_trials,
    key_of,
    latest,
    whole_journal,
)
from scalesearch.trials.curve import LearningCurve, Point, finite, read_curve
from scalesearch.trials.key import TrialKey

TRIAL = [
    *("number", "candidate", "seed", PART, "state", "epochs", "loss", "accuracy", "train_loss"),
    *("seconds", "error", "pruned"),
]
NETWORK = ("alpha", "beta", "gamma", "flops")  # what tables say of a network, beside its key
CURVE = [field.name for field in fields(Point)]


def read_trials(folder: Path) -> pd.DataFrame:
    """The trials of a study directory, read without writing to it.

    Raises ValueError where there is no study.
    """
    found = frozen_trials(folder)
    with whole_journal(folder):
        return with_networks(in_words(trial_table(found), metric_of(folder)), find_plan(folder))


def read_curves(folder: Path) -> pd.DataFrame:
    """The curves of a study directory, as curves.csv has them, read without writing to it."""
    table = in_words(curve_table(read_history(folder)), metric_of(folder))
    return with_networks(table, find_plan(folder))


def read_history(folder: Path) -> dict[TrialKey, LearningCurve]:
    """The curve of every validation trial of a study directory, read without writing to it."""
    trials = frozen_trials(folder)
    with whole_journal(folder):
        return {
            key: read_curve(frozen.user_attrs["curve"])
            for key, frozen in latest(trials).items()
            if key.part == "val"
            and frozen.state != TrialState.FAIL
            and "curve" in frozen.user_attrs
        }


def with_networks(table: pd.DataFrame, plan: Plan | None) -> pd.DataFrame:
    """A table with what each of its rows' networks is, beside its key; as it is without a plan."""
    if plan is None:
        return table
    found = table.copy()
    for place, name in enumerate(NETWORK, 1 + [*found].index("candidate")):
        values = {row.key: getattr(row, name) for row in (plan.baseline, *plan.candidates)}
        found.insert(place, name, found["candidate"].map(values))
    return found


def in_words(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """A table whose losses are a study's own metric, under its name and with its sign.

    A user's own training has no accuracy and no training loss: there are no columns of them.
    """
    if metric == LOSS:
        return table
    found = table.drop(columns=["accuracy", "train_loss"]).rename(columns={"loss": metric.name})
    found[metric.name] = found[metric.name].map(metric.value, na_action="ignore")
    return found


def metric_of(folder: Path) -> Metric:
    """What the networks of a study are compared by; a loss where there is no space that says."""
    path = folder / "space.yaml"
    return load_space(str(path)).compares if path.exists() else LOSS


def curve_table(history: Mapping[TrialKey, LearningCurve]) -> pd.DataFrame:
    """Curves as a flat table, a row an epoch."""
    rows = [
        {"candidate": key.network, "seed": key.seed, **asdict(point)}
        for key, curve in history.items()
        for point in curve
    ]
    return pd.DataFrame(rows, columns=["candidate", "seed", *CURVE])


@dataclass(frozen=True, slots=True)
class Status:
    """How far a study is, by its journal: trials by Optuna's states, epochs, seconds of training.

    `driver` is the process that runs it, None where none does; `nodes` has the trials of each
    machine of a cluster, `failures` the messages.
    """

    study: str
    trials: int
    states: dict[str, int]
    epochs: int
    trained_seconds: float
    driver: str | None
    nodes: dict[str, int]
    failures: list[str]


def read_status(folder: Path) -> Status:
    """How far a study is, read without writing to it.

    Raises ValueError where there is no study.
    """
    found = frozen_trials(folder)
    with whole_journal(folder):
        table = trial_table(found)
    states = {str(k): int(v) for k, v in table["state"].value_counts().items()}
    return Status(
        study=str(folder),
        trials=len(table),
        states=states,
        epochs=int(table["epochs"].sum()),
        trained_seconds=float(table["seconds"].fillna(0).sum()),
        driver=driver_of(folder),
        nodes=nodes_of(table),
        failures=table.loc[table["error"].notna(), "error"].tolist(),
    )


def nodes_of(table: pd.DataFrame) -> dict[str, int]:
    """How many trials each machine of a cluster has trained, of those where it is on record."""
    if "node" not in table:
        return {}
    return {str(node): int(n) for node, n in table["node"].value_counts().items()}


def made_with(frozen: FrozenTrial) -> dict[str, str]:
    """Device and versions of a recorded trial, columns of their own."""
    noted = frozen.user_attrs.get("made_with", {}).items()
    return {str(name): str(value) for name, value in noted if name not in TRIAL}


def trial_table(trials: Iterable[FrozenTrial]) -> pd.DataFrame:
    """Recorded trials as a flat table, a row each, in the order they were planned."""
    rows = []
    for frozen in trials:
        key = key_of(frozen)
        curve = read_curve(frozen.user_attrs.get("curve", ()))
        last = curve[-1] if curve else None
        done = frozen.state in (TrialState.COMPLETE, TrialState.PRUNED)
        rows.append(
            {
                "number": frozen.number,
                "candidate": key.network,
                "seed": key.seed,
                PART: key.part,
                "state": frozen.state.name,
                "epochs": int(max(frozen.intermediate_values, default=0)),
                "loss": finite(frozen.value) if done and frozen.value is not None else None,
                "accuracy": last and last.accuracy,
                "train_loss": last and last.train_loss,
                "seconds": last and last.seconds,
                "error": frozen.user_attrs.get("error"),
                "pruned": frozen.user_attrs.get("pruned"),
                **made_with(frozen),
            }
        )
    return pd.DataFrame(rows, columns=None if rows else TRIAL)
