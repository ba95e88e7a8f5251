"""What the terminal prints of an answer, a verification and a family."""

import shlex
from pathlib import Path

from scalesearch.cli.tables import cell, show_table
from scalesearch.export.evaluate import Evaluated
from scalesearch.families.document import Family
from scalesearch.families.lines import family_named
from scalesearch.families.members import Member
from scalesearch.families.trained import Training
from scalesearch.plans.document import read_plan
from scalesearch.search.members import estimate_training
from scalesearch.search.options import RunOptions
from scalesearch.search.run import Finished
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.selection.selection import Selection
from scalesearch.selection.verification import Verification
from scalesearch.spaces.files import load_space
from scalesearch.terminal import say
from scalesearch.units import milliseconds, short

COMPARED = ("mobilenet_v2", "resnet18")  # with a study's family, those of its own left out


def show_verified(found: Verification, study: Path) -> None:
    """Print what a verification of a study found."""
    show_table(
        f"at {found.ratio:g}x, {found.seeds} seeds; flops are multiply-adds",
        ["network", "px", "flops", "ratio", "loss", "95 % interval"],
        [
            [
                row.label,
                row.resolution,
                short(row.flops),
                row.ratio,
                f"{row.loss:.4f}",
                "{:.4f}..{:.4f}".format(*row.interval),
            ]
            for row in sorted(found.networks, key=lambda row: row.loss)
        ],
    )
    transfer, law = found.transfer, found.law
    low, high = transfer.interval
    say(
        f"rank correlation with phi = 1: {transfer.rank_correlation:+.2f} (95% interval "
        f"{low:+.2f} to {high:+.2f}; {transfer.distinct} distinct of {transfer.candidates})"
    )
    for axis in found.axes:
        low, high = axis.interval
        say(
            f"{axis.axis} against the leader at phi = 1: {axis.difference:+.4f} "
            f"({low:+.4f} to {high:+.4f})"
        )
    say(
        f"law: L = b C^-c, c {law.form} in the shape; error at phi {found.phi:g} "
        f"{law.error:.4f}, of best-so-far {law.error_best_so_far:.4f}, of a log-linear fit "
        f"{law.error_log_linear:.4f}; {law.inside} inside the interval"
    )
    if law.why_no_law:
        say(f"nothing is predicted from it: {law.why_no_law}")
    if beyond := found.beyond(read_plan(study).images):
        say(beyond)


def show_trained(training: Training, said: str) -> None:
    """Print the networks of a training by their lines, what could not be made, and `said`."""
    show_table(
        f"{training.title}; flops are multiply-adds",
        ["line", "network", "px", "output stride", "flops", "params"],
        [
            [
                *(line.name, one.name, one.resolution, one.output_stride),
                *(short(one.flops), short(one.params)),
            ]
            for line in training.lines
            for one in map(training.entry, line.members)
        ],
    )
    for remark in training.remarks:
        say(f"warning: {remark}")
    say(said)


def show_evaluated(found: Evaluated) -> None:
    """Print what a network is worth on images, by class and in all."""
    show_table(
        "of the images of a class so many are recognised; of those called so, so many are",
        ["class", "images", "recognised", "right when said", "most often taken for"],
        [
            [row.name, row.images, share(row.recall), share(row.precision), taken_for(found, i)]
            for i, row in enumerate(found.classes)
        ],
    )
    say(
        f"{found.model} on {found.images:,} {found.split} images of {found.data} at "
        f"{found.resolution} px: accuracy {found.accuracy:.2%}, balanced over classes "
        f"{found.balanced_accuracy:.2%}, top-5 {found.top5:.2%}, loss "
        f"{found.loss:.4f}, expected calibration error {found.calibration_error:.4f}, "
        f"{found.images_per_second:,.0f} images a second"
    )


def share(value: float | None) -> str:
    """A share in percent, nothing for none."""
    return "" if value is None else f"{value:.2%}"


def taken_for(found: Evaluated, i: int) -> str:
    """The class that images of class `i` are most often taken for, and how often."""
    wrong = [(n, j) for j, n in enumerate(found.confusion[i]) if j != i and n]
    n, j = max(wrong, default=(0, 0))
    return f"{found.classes[j].name} ({n})" if n else ""


def show_selection(selection: Selection, folder: Path) -> None:
    """Print the answer, the candidates and the warnings."""
    say(selection.headline)
    metric = selection.compares
    rows = [
        [
            selection.name(row.key),
            *(row.seeds, f"{metric.value(row.loss):.4f}", row.spread),
            metric.value(row.difference),
            "{:.4f}..{:.4f}".format(*metric.interval(row.interval)),
            f"{row.p_best:.0%}",
            f"{row.regret:.4f}",
            "*" if row.in_set else "",
        ]
        for row in selection.standings
    ]
    show_table(
        f"up to {selection.seeds} seeds, {metric.name} is fitted over them; P(best) is of all "
        f"{len(selection.standings)}; * in the {selection.confidence:.0%} set",
        [
            "alpha/beta/gamma",
            "n",
            metric.name,
            "sd",
            "difference",
            "95 % interval",
            "P(best)",
            "regret",
            "set",
        ],
        rows,
    )
    for key, stop in selection.stopped.items():
        say(f"stopped: {selection.name(key)}: {stop.reason}")
    for gate in selection.gates:
        outcome = "FAILED" if gate.outcome == "failed" else gate.outcome
        say(f"gate {gate.name}: {outcome}: {gate.text}")
        if gate.seeds:
            say(f"to mend it: {more_seeds(folder, gate.seeds)}")
    for warning in selection.warnings:
        say(f"warning: {warning}")


def more_seeds(folder: Path, seeds: int) -> str:
    """The command that goes on with a study, with so many seeds at most."""
    words = ["scalesearch", "run", str(folder / "space.yaml"), "--name", folder.resolve().name]
    words += ["--results", str(folder.parent), "--proxy", read_plan(folder).proxy]
    return shlex.join([*words, "--seeds", str(seeds)])


def show_answer(folder: Path, finished: Finished, options: RunOptions) -> None:
    """Print how a run ended: the answer, the report's path, the next sensible commands."""
    selection = finished.selection
    if selection:
        show_selection(selection, folder)
    else:
        say("no selection yet: it needs two seeds of every candidate and the baseline")
    if not finished.trained and not finished.unfinished:
        say("nothing was trained: the study was complete")
    say(f"report: {finished.report}")
    if finished.unfinished:
        say(f"{finished.unfinished}; the same command goes on")
    elif selection and selection.recommended:
        command, expected = next_training(folder, options)
        say(f"next: {command}")
        say(f"      {expected}")
        say(f"then: scalesearch scale --study {shlex.quote(str(folder))}")
    else:
        say("next: the same command with more --epochs and another --name")


def next_training(folder: Path, options: RunOptions) -> tuple[str, str]:
    """The command that trains a study's family to its end, beside others at the same flops and as
    its trials were run; and what it is expected to take."""
    own = family_named(read_plan(folder).baseline.name)
    others = tuple(name for name in COMPARED if family_named(name) != own)
    if load_space(str(folder / "space.yaml")).train is not None:
        others = ()  # which the user's own training was not written for
    wanted = TrainOptions(targets=(str(folder),), match=others, axes=False)
    expected = estimate_training(*prepare_training(wanted), options)
    words = ["scalesearch", "train", str(folder), "--no-axes"]
    words += ["--match", ",".join(others)] if others else []
    usual = RunOptions()
    for name in ("runner", "workers", "gpus_per_trial", "address", "accelerator"):
        if getattr(options, name) != getattr(usual, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return shlex.join(words), expected.text


def show_family(family: Family) -> None:
    """Print a family and those matched to it as tables."""
    columns = ["name", "phi", "depth", "width", "px", "params", "flops", "acts", "ms", "ratio"]
    for name, members in {family.baseline.name: family.members, **family.matched}.items():
        show_table(
            f"{name}, {family.mode}; flops are {family.flops_convention}",
            columns,
            [member_cells(member) for member in members],
        )
    for warning in family.warnings:
        say(f"warning: {warning}")


def member_cells(member: Member) -> list[str]:
    """A member's row as text."""
    return [
        member.name,
        cell(member.phi),
        f"{member.depth:.3f}",
        f"{member.width:.3f}",
        str(member.resolution),
        short(member.params),
        short(member.flops),
        short(member.activations),
        milliseconds(member.ms, member.ms_low, member.ms_high),
        f"{member.ratio:.3f}",
    ]
