"""The selection: the answer of a study, kept as selection.json and printed by `--json`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from scalesearch.files import Keys, optional_document, read_document, write_document
from scalesearch.networks.scaling import Coefficients
from scalesearch.selection.gates import Gate
from scalesearch.selection.ranking import Standing
from scalesearch.selection.terms import Stop
from scalesearch.spaces.metric import LOSS, Metric

FILE = "selection.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which candidate to scale up by, how sure that is, and what to beware of.

    `coefficients` are there where one is recommended. `standings` are best first and `loss` in
    them is the one number of a candidate: fitted over seeds. `gain` is the mean gain of all
    candidates over the 1x baseline, `chosen_gain` that of the chosen one; both are of
    losses, which of a study with a metric of its own are what `compares` makes of it (Metric.loss).
    `stopped` says of candidates why they were not gone on with; `names` are what the
    terminal calls networks.
    """

    space: str
    names: Mapping[str, str]
    headline: str
    recommended: bool
    coefficients: Coefficients | None
    chosen: str
    confidence_set: tuple[str, ...]
    ties: tuple[str, ...]
    tie_rule: str
    confidence: float
    metric: str
    gates: tuple[Gate, ...]
    policy: str
    ended: str
    stopped: Mapping[str, Stop]
    leader: str
    standings: tuple[Standing, ...]
    baseline_loss: float
    gain: float
    gain_interval: tuple[float, float]
    chosen_gain: float
    chosen_gain_interval: tuple[float, float] | None
    noise: float
    seeds: int
    examples: int
    warnings: tuple[str, ...]
    compares: Metric = LOSS

    def standing(self, key: str) -> Standing | None:
        """How a candidate stands; None for one that was not trained to the end."""
        return next((standing for standing in self.standings if standing.key == key), None)

    def name(self, key: str) -> str:
        """What the terminal calls a network."""
        return self.names.get(key, key)


def write_selection(folder: Path, selection: Selection) -> None:
    """Write selection.json."""
    write_document(folder / FILE, selection)


def read_selection(folder: Path) -> Selection:
    """The selection of a study. Raises ValueError, in one line, where it has none."""
    return read_document(folder / FILE, Selection, renewed)


def find_selection(folder: Path) -> Selection | None:
    """The selection of a study, None where it has none yet."""
    return optional_document(folder / FILE, Selection, renewed)


def old_notes(selection: Selection) -> tuple[str, ...]:
    """What the data said of themselves, as a selection has it whose study has no data.json.

    The first version kept these notes among the warnings alone, which say besides why gates failed
    or were not shown, how many trials did, and that seeds, epochs or whole trials are few.
    """
    gates = (f"{gate.name}{end}" for gate in selection.gates for end in (": ", ", "))
    others = (*gates, "train longer ", "train for more epochs ", "each trial told one number")
    counts = re.compile(
        r"\d+ (trials failed; trials\.csv|seeds tell little|candidates have no whole trial)"
    )
    return tuple(
        warning
        for warning in selection.warnings
        if not warning.startswith(others) and not counts.match(warning)
    )


def renewed(old: Keys) -> Keys:
    """A selection's keys as today's. The first version had gates that passed or not, and of gains
    the candidates' mean alone: the baseline's loss follows from it."""
    losses = {row["key"]: row["loss"] for row in old["standings"]}
    baseline = old["gain"] + mean(losses.values())
    return {
        "names": {},
        "baseline_loss": baseline,
        "chosen_gain": baseline - losses[old["chosen"]],
        "chosen_gain_interval": None,
        **old,
        "gates": [with_outcome(gate) for gate in old["gates"]],
    }


def with_outcome(gate: Keys) -> Keys:
    """A gate that has an outcome, where it only said whether it passed."""
    if "outcome" in gate:
        return gate
    outcome = "passed" if gate["passed"] else "failed"
    return {"name": gate["name"], "outcome": outcome, "text": gate["text"]}
