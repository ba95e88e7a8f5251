"""What a report says: a study's files read into one plain structure."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from scalesearch.families import document as families
from scalesearch.families.document import Family, find_family
from scalesearch.families.front import Front, find_front
from scalesearch.families.trained import FRONT
from scalesearch.files import check_regular
from scalesearch.plans.document import Candidate, Plan
from scalesearch.report.transfer import Transfer, read_transfer
from scalesearch.selection import selection as selections
from scalesearch.selection import verification
from scalesearch.selection.ranking import Standing
from scalesearch.selection.selection import Selection, find_selection
from scalesearch.selection.terms import Stop
from scalesearch.spaces.metric import Metric
from scalesearch.spaces.space import Proxy, Space
from scalesearch.studies import record
from scalesearch.studies.images import Images
from scalesearch.studies.record import RunRecord, find_record
from scalesearch.studies.setup import DATA, open_search, read_images

TRIALS = ["candidate", "seed", "split", "state", "epochs", "loss", "accuracy", "seconds", "error"]
CURVES = ["candidate", "seed", "epoch", "loss", "accuracy"]
GRID = ["alpha", "beta", "gamma", "nominal", "ratio", "feasible"]


@dataclass(frozen=True, slots=True)
class Row:
    """A network of the plan with what its trials came to.

    `loss` is the selection's, fitted over seeds; the mean of its `n` seeds where the selection has
    none of it. Accuracies and seconds are means of those trials, with the accuracy's range; all
    are None without a trial that ran to the end. Where a user's `own` function trained, loss and
    accuracy both are its metric, in its own words.
    """

    network: Candidate
    name: str
    group: str
    standing: Standing | None
    stopped: Stop | None
    is_baseline: bool
    is_chosen: bool
    n: int
    loss: float | None
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    seconds: float | None
    own: bool = False

    @property
    def key(self) -> str:
        """The network's key."""
        return self.network.key


@dataclass(frozen=True, slots=True)
class GridPoint:
    """A distinct network of the grid: its nearest point, nominal and counted cost over 1x."""

    alpha: float
    beta: float
    gamma: float
    nominal: float
    ratio: float
    feasible: bool


@dataclass(frozen=True, slots=True)
class TestedRow:
    """A network on the test split: means over its seeds, with the seeds' intervals for two up.

    The row "difference" is of the chosen network less the baseline, within a seed.
    """

    name: str
    seeds: int
    loss: float
    loss_interval: tuple[float, float] | None
    accuracy: float
    accuracy_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that failed, and why."""

    candidate: str
    seed: int
    epochs: int
    error: str


@dataclass(frozen=True, slots=True)
class Content:
    """A study's files, and the rows of its candidates, best first, the baseline last.

    `selection` and `run` are None where the study has not come that far. All losses, the
    selection's too, are what `metric` says of them: a gain alone is above zero where it is one.
    """

    name: str
    plan: Plan
    selection: Selection | None
    run: RunRecord | None
    space: Space
    images: Images
    family: Family | None
    transfer: Transfer | None
    front: Front | None
    grid: tuple[GridPoint, ...]
    trials: pd.DataFrame
    curves: pd.DataFrame
    candidates: tuple[Row, ...]
    tests: tuple[TestedRow, ...]
    failures: tuple[Failure, ...]

    @property
    def metric(self) -> Metric:
        """What networks are compared by."""
        return self.space.compares

    @property
    def own(self) -> bool:
        """Whether a user's own function trained, which tells its metric alone."""
        return self.space.train is not None

    @property
    def proxy(self) -> Proxy:
        """The proxy that was trained."""
        return self.space.proxies[self.plan.proxy]

    @property
    def rows(self) -> dict[str, Row]:
        """The candidates and the baseline by key."""
        return {row.key: row for row in self.candidates}

    @property
    def chosen(self) -> Row | None:
        """The candidate that is recommended, if any."""
        return next((row for row in self.candidates if row.is_chosen), None)

    @property
    def states(self) -> dict[str, int]:
        """How many trials there are in each state."""
        return {str(state): int(n) for state, n in self.trials["state"].value_counts().items()}

    @property
    def made_with(self) -> Mapping[str, str]:
        """Device and versions that the trials were trained with, else those of the last run."""
        there = [name for name in ("device", "python", "torch") if name in self.trials]
        found = {name: self.trials[name].dropna().astype(str).unique() for name in there}
        said = {name: ", ".join(values) for name, values in found.items() if len(values)}
        return said or (self.run.versions if self.run else {})


def read_content(folder: Path, new: Path | None = None) -> Content:
    """The content of a study's report, as far as the study has come.

    A file in `new`, which is to be put in place in one piece, counts as if it were. Raises
    ValueError where the directory has no plan.
    """

    def place(name: str) -> Path:
        return new if new and (new / name).exists() else folder

    search, selection = open_search(folder), find_selection(place(selections.FILE))
    plan, space = search.plan, search.space
    trials = results(place("trials.csv") / "trials.csv", TRIALS, space)
    if selection is not None:
        selection = told(selection)
    recommended = selection is not None and selection.recommended
    return Content(
        name=folder.resolve().name,
        plan=plan,
        selection=selection,
        run=find_record(place(record.FILE)),
        space=search.space,
        images=read_images(place(DATA), search.proxy),
        family=find_family(place(families.FILE)) if recommended else None,
        transfer=read_transfer(place(verification.FILE)),
        front=find_front(folder / FRONT),
        grid=grid_points(table(folder / "grid.csv", GRID)),
        trials=trials,
        curves=results(place("curves.csv") / "curves.csv", CURVES, space),
        candidates=candidate_rows(plan, selection, trials, space.train is not None),
        tests=test_rows(plan, selection, trials),
        failures=failures(trials),
    )


def results(path: Path, columns: list[str], space: Space) -> pd.DataFrame:
    """A CSV file of trials or epochs, in which a user's own metric stands as loss and accuracy."""
    if space.train is None:
        return table(path, columns)
    name = space.compares.name
    own = [name if column == "loss" else column for column in columns if column != "accuracy"]
    found = table(path, own)
    return found.rename(columns={name: "loss"}).assign(accuracy=found[name])


def told(selection: Selection) -> Selection:
    """A selection whose losses and differences are in its own metric's words."""
    metric = selection.compares
    standings = [
        replace(
            standing,
            loss=metric.value(standing.loss),
            difference=metric.value(standing.difference),
            interval=metric.interval(standing.interval),
        )
        for standing in selection.standings
    ]
    baseline = metric.value(selection.baseline_loss)
    return replace(selection, standings=tuple(standings), baseline_loss=baseline)


def table(path: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV file, or an empty table of those columns. Raises ValueError where it is no CSV."""
    if not path.exists() or path.stat().st_size <= 1:
        return pd.DataFrame(columns=columns)
    check_regular(path)
    try:
        found = pd.read_csv(path, dtype={"error": "string", "candidate": "string"})
    except (pd.errors.ParserError, UnicodeError) as error:
        raise ValueError(f"{path} must be CSV: {' '.join(str(error).split())}") from None
    if missing := [name for name in columns if name not in found]:
        raise ValueError(f"{path} must have the columns {', '.join(columns)}, lacks {missing[0]}")
    return found


def candidate_rows(
    plan: Plan, selection: Selection | None, trials: pd.DataFrame, own: bool = False
) -> tuple[Row, ...]:
    """Plan, standing and trials of every candidate in one row each, best first; then the 1x."""
    done = finished(trials, "val")
    of_network: dict[Hashable, pd.DataFrame] = dict(iter(done.groupby("candidate")))
    rows = [
        candidate_row(plan, selection, network, of_network.get(network.key, done[:0]), own)
        for network in (*plan.candidates, plan.baseline)
    ]
    order = [standing.key for standing in selection.standings] if selection else []
    ranks = {key: rank for rank, key in enumerate(order)}
    return tuple(sorted(rows, key=lambda row: (row.is_baseline, ranks.get(row.key, len(ranks)))))


def candidate_row(
    plan: Plan, selection: Selection | None, network: Candidate, mine: pd.DataFrame, own: bool
) -> Row:
    """A network's row; `mine` are its trials that ran to the end."""
    is_baseline = network.key == plan.baseline.key
    is_chosen = selection is not None and selection.recommended and network.key == selection.chosen
    standing = selection.standing(network.key) if selection else None
    stopped = selection.stopped.get(network.key) if selection else None
    loss = standing.loss if standing else mean(mine["loss"])
    if selection and is_baseline:
        loss = selection.baseline_loss
    return Row(
        network=network,
        name="1x baseline" if is_baseline else point_name(network),
        group=group_of(is_baseline, is_chosen, standing, stopped),
        standing=standing,
        stopped=stopped,
        is_baseline=is_baseline,
        is_chosen=is_chosen,
        n=len(mine),
        loss=loss,
        accuracy=mean(mine["accuracy"]),
        accuracy_low=float(mine["accuracy"].min()) if len(mine) else None,
        accuracy_high=float(mine["accuracy"].max()) if len(mine) else None,
        seconds=mean(mine["seconds"]),
        own=own,
    )


def point_name(point: Candidate | GridPoint) -> str:
    """The coefficients of a network."""
    return f"α {point.alpha:.4g}  β {point.beta:.4g}  γ {point.gamma:.4g}"


GROUPS = {
    "1x baseline": "ink",
    "chosen": "chosen",
    "may be the best (95 % set)": "tied",
    "worse than the best": "other",
    "stopped early": "other",
    "not compared yet": "tied",
}


def group_of(
    is_baseline: bool, is_chosen: bool, standing: Standing | None, stopped: Stop | None
) -> str:
    """What the legend calls a network: one of GROUPS."""
    if is_baseline:
        return "1x baseline"
    if is_chosen:
        return "chosen"
    if standing:
        return "may be the best (95 % set)" if standing.in_set else "worse than the best"
    return "stopped early" if stopped else "not compared yet"


def mean(values: "pd.Series[float]") -> float | None:
    """The mean of a column, None of an empty one."""
    return float(values.mean()) if len(values) else None


def finished(trials: pd.DataFrame, split: str) -> pd.DataFrame:
    """The trials of a split that ran to their end."""
    return trials[(trials["state"] == "COMPLETE") & (trials["split"] == split)]


def test_rows(
    plan: Plan, selection: Selection | None, trials: pd.DataFrame
) -> tuple[TestedRow, ...]:
    """The one look at the test split: the chosen network and the baseline, and their difference."""
    tested = finished(trials, "test").set_index("seed")[["candidate", "loss", "accuracy"]]
    of = {key: rows.drop(columns="candidate") for key, rows in tested.groupby("candidate")}
    found = {"1x baseline": of.get(plan.baseline.key)}
    if selection:
        found["chosen"] = of.get(selection.chosen)
        if found["chosen"] is not None and found["1x baseline"] is not None:
            found["difference"] = (found["chosen"] - found["1x baseline"]).dropna()
    return tuple(
        tested_row(name, rows) for name, rows in found.items() if rows is not None and len(rows)
    )


def tested_row(name: str, rows: pd.DataFrame) -> TestedRow:
    """The means and intervals of a network's seeds on the test split."""
    return TestedRow(
        name,
        len(rows),
        float(rows["loss"].mean()),
        mean_interval(rows["loss"]),
        float(rows["accuracy"].mean()),
        mean_interval(rows["accuracy"]),
    )


def mean_interval(values: "pd.Series[float]") -> tuple[float, float] | None:
    """Student's 95 % interval of the mean; None of a single value."""
    if len(values) < 2:
        return None
    half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()) - half, float(values.mean()) + half


def failures(trials: pd.DataFrame) -> tuple[Failure, ...]:
    """The trials that failed."""
    return tuple(
        Failure(str(key), int(seed), int(epochs), str(error))
        for key, seed, epochs, error in columns(
            trials[trials["state"] == "FAIL"], "candidate", "seed", "epochs", "error"
        )
    )


def grid_points(grid: pd.DataFrame) -> tuple[GridPoint, ...]:
    """The distinct networks of the grid; none of a study that did not keep them."""
    return tuple(
        GridPoint(float(a), float(b), float(c), float(nominal), float(ratio), bool(feasible))
        for a, b, c, nominal, ratio, feasible in columns(grid, *GRID)
    )


def columns(rows: pd.DataFrame, *names: str) -> "zip[tuple[Any, ...]]":
    """The values of those columns, row by row."""
    return zip(*(rows[name].tolist() for name in names), strict=True)
