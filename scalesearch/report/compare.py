"""Several studies in one report: their choices side by side, and what keeps them from comparing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scalesearch.files import Keys, plain, write_csv, write_text
from scalesearch.report.content import Content, read_content
from scalesearch.report.page import render_html, render_md
from scalesearch.report.pdf import print_pdf
from scalesearch.report.words import in_a_sentence, listed
from scalesearch.report.write import check_format
from scalesearch.scratch import all_or_none

# of a proxy: where studies differ in these, their accuracies and losses are not of one measure
DATA = ("data", "train_examples", "val_examples")
RECIPE = ("recipe", "seeds")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """What a study chose, how sure it is, what it took; None where it has not come that far.

    `gain` is the chosen network's over the 1x baseline, in loss.
    """

    study: str
    model: str
    data: str
    budget: str
    answer: str
    coefficients: str | None
    p_best: float | None
    set: int
    candidates: int
    gates: str | None
    failed: tuple[str, ...]
    gain: float | None
    gain_interval: tuple[float, float] | None
    baseline_flops: int
    chosen_flops: int | None
    baseline_accuracy: float | None
    chosen_accuracy: float | None
    trials: int
    epochs: int
    training_seconds: float
    wall_seconds: float | None
    device: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The studies, a row of each, and every setting in which they differ."""

    studies: tuple[Content, ...]
    labels: tuple[str, ...]
    rows: tuple[StudyRow, ...]
    differences: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        """What the report is called."""
        return f"{len(self.studies)} studies compared"

    @property
    def verdict(self) -> str:
        """Whether accuracies of different studies may be compared, in one sentence."""
        names = [name for name, _ in self.differences]
        data = [name for name in names if name.startswith(DATA)]
        recipe = [name for name in names if name.startswith(RECIPE)]
        if data:
            return (
                f"The data differ ({listed(data)}): accuracies and losses of different studies "
                "are not comparable, only their choices are."
            )
        if recipe:
            return (
                f"The recipes differ ({listed(recipe)}): a difference in accuracy between "
                "studies may come from them, not from the networks."
            )
        return "Data and recipe are the same, so accuracies of different studies are comparable."


def compare(folders: Sequence[Path]) -> Comparison:
    """The comparison of several studies. Raises ValueError where one of them has no plan."""
    studies = tuple(read_content(folder) for folder in folders)
    labels = labelled([study.name for study in studies])
    return Comparison(
        studies=studies,
        labels=labels,
        rows=tuple(study_row(label, s) for label, s in zip(labels, studies, strict=True)),
        differences=settings_that_differ(studies),
    )


def labelled(names: Sequence[str]) -> tuple[str, ...]:
    """The names, numbered where one stands more than once."""
    return tuple(
        f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    )


def study_row(label: str, study: Content) -> StudyRow:
    """What a study chose, how sure it is, what it took."""
    selection, chosen = study.selection, study.chosen
    gates = selection.gates if selection else ()
    model = study.space.model
    return StudyRow(
        study=label,
        model=model if isinstance(model, str) else model.name or "a stage table",
        data=str(study.proxy.data),
        budget=study.plan.budget,
        answer=in_a_sentence(study),
        coefficients=chosen.name if chosen else None,
        p_best=chosen.standing.p_best if chosen and chosen.standing else None,
        set=len(selection.confidence_set) if selection else 0,
        candidates=len(study.plan.candidates),
        gates=f"{sum(gate.passed for gate in gates)} of {len(gates)}" if gates else None,
        failed=tuple(f"{gate.name} {gate.outcome}" for gate in gates if not gate.passed),
        gain=selection.chosen_gain if selection and chosen else None,
        gain_interval=selection.chosen_gain_interval if selection and chosen else None,
        baseline_flops=study.plan.baseline.flops,
        chosen_flops=chosen.network.flops if chosen else None,
        baseline_accuracy=None if study.own else study.candidates[-1].accuracy,
        chosen_accuracy=chosen.accuracy if chosen and not study.own else None,
        trials=len(study.trials),
        epochs=int(study.trials["epochs"].sum()),
        training_seconds=float(study.trials["seconds"].fillna(0).sum()),
        wall_seconds=study.run.seconds if study.run else None,
        device=study.made_with.get("device"),
        warnings=selection.warnings if selection else (),
    )


def settings_that_differ(studies: Sequence[Content]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Name and values, one for each study, of every setting that is not the same in all."""
    settings = [flat(settings_of(study)) for study in studies]
    names = list(dict.fromkeys(name for found in settings for name in found))
    values = {name: tuple(str(found.get(name, "–")) for found in settings) for name in names}
    return tuple((name, found) for name, found in values.items() if len(set(found)) > 1)


def settings_of(study: Content) -> Keys:
    """What a study's results depend on: data and recipe first."""
    proxy, space = plain(study.proxy), plain(study.space)
    first = {key: proxy[key] for key in (*DATA, *RECIPE)}
    rest = {key: value for key, value in proxy.items() if key not in ("grid", "shrink")}
    shared = {key: space[key] for key in ("model", "tolerance", "policy")}
    return {
        **first,
        **rest,
        **shared,
        "budget": study.plan.budget,
        "made": dict(study.made_with),
    }


def flat(settings: Keys, where: str = "") -> Keys:
    """Nested settings by dotted names."""
    found: Keys = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{where}{key}.")
        else:
            found[f"{where}{key}"] = value
    return found


def write_comparison(folders: Sequence[Path], out: Path, kind: str | None = None) -> Path:
    """The path of the comparison of that format in the directory `out`; HTML by default."""
    check_format(kind)
    comparison = compare(folders)
    if kind == "csv":
        write_csv(out / "comparison.csv", pd.DataFrame([plain(row) for row in comparison.rows]))
        return out / "comparison.csv"
    # altair takes a third of a second to import, and most commands draw nothing
    from scalesearch.report.figures import draw
    from scalesearch.report.figures.several import accuracies

    drawn = accuracies(comparison.labels, comparison.studies)
    with all_or_none(out) as new:
        figures = draw(drawn, new / "figures")
        write_text(new / "comparison.md", render_md("compare.md.j2", c=comparison, figures=figures))
        write_text(new / "comparison.html", render_html("compare.html.j2", figures, c=comparison))
    if kind == "pdf":
        return print_pdf(out / "comparison.html")
    return out / f"comparison.{kind or 'html'}"
