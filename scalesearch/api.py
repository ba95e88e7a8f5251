"""What `import scalesearch` offers: the steps of a search as functions, the command line's own.

Every function takes what its command takes, by the same names, and raises ValueError, in one line,
for what is not in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from torch import Tensor, nn

from scalesearch.errors import ParameterError, check_range
from scalesearch.export.evaluate import Evaluated, EvaluateOptions
from scalesearch.export.evaluate import evaluate as evaluate_network
from scalesearch.families.document import Family
from scalesearch.families.front import Front, find_front
from scalesearch.families.members import Member
from scalesearch.families.scale import ScaleOptions
from scalesearch.families.scale import scale as scale_family
from scalesearch.files import plain
from scalesearch.networks.blocks import Network
from scalesearch.networks.cost import Cost
from scalesearch.networks.cost import cost as measured_cost
from scalesearch.networks.files import find_model, model_file, weights_beside
from scalesearch.networks.models import (
    Model,
    at_output_stride,
    at_resolution,
    build_model,
    realised,
)
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.told import write_networks
from scalesearch.networks.weights import load_torchvision as load_torchvision_weights
from scalesearch.networks.weights import load_weights, read_weights
from scalesearch.plans.document import Plan, plan_table, read_plan
from scalesearch.plans.plan import make_plan
from scalesearch.plans.plan import to_measure as networks_to_measure
from scalesearch.report import write_report
from scalesearch.search.members import run_training
from scalesearch.search.options import RunOptions, device_here, refuse_no_gpu
from scalesearch.search.run import reselect, run_search, verify_study
from scalesearch.search.status import StudyStatus, study_status
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.selection.replay import Replayed, Table, read_table
from scalesearch.selection.replay import replay as replay_policy
from scalesearch.selection.selection import Selection, read_selection
from scalesearch.selection.terms import Policy
from scalesearch.selection.verification import Verification
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import costed_by, load_space, named_space, narrow
from scalesearch.spaces.space import Proxy, Space
from scalesearch.studies import JOURNAL, read_curves, read_trials
from scalesearch.studies.setup import check_study, data_info, prepare, trust_study
from scalesearch.trials.custom import Train, reference_of

PHIS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


@dataclass(frozen=True, slots=True)
class SavedStudy:
    """A study's directory. Reading it disturbs no run; `select`, `verify` and `report` write."""

    folder: Path

    def trials(self) -> pd.DataFrame:
        """A row a trial: candidate, alpha, beta, gamma, flops, seed, split, state, epochs, loss,
        accuracy, seconds, error."""
        return read_trials(self.folder)

    def curves(self) -> pd.DataFrame:
        """A row an epoch of every trial: candidate, alpha, beta, gamma, flops, seed, epoch,
        validation loss, accuracy."""
        return read_curves(self.folder)

    def status(self) -> StudyStatus:
        """Trials by state, epochs, seconds, the process that runs it; as `networks` how each
        stands, as `run` what its last driver was at, and expected."""
        return study_status(self.folder)

    @property
    def space(self) -> Space:
        """The space as it was resolved, every default written out."""
        return load_space(str(self.folder / "space.yaml"))

    @property
    def plan(self) -> Plan:
        """The plan: the baseline and every candidate with its measured cost (plan.json)."""
        return read_plan(self.folder)

    @property
    def selection(self) -> Selection:
        """The answer: coefficients, P(best), confidence set, gates, warnings (selection.json).

        Raises ValueError where the study has none yet.
        """
        return read_selection(self.folder)

    def select(self) -> Selection:
        """The selection made again from the trials that there are, and written."""
        check_study(self.folder)
        return reselect(self.folder)

    def verify(
        self,
        phi: float = 2.0,
        top: int = 5,
        seeds: int = 3,
        *,
        runner: str = "ray",
        workers: int | None = None,
        gpus_per_trial: float = 0.0,
        address: str | None = None,
        cache: str | Path | None = None,
        stall: float = 600.0,
        quiet: bool = False,
    ) -> Verification:
        """What training the best `top` candidates at ratio^phi says of the order at phi = 1.

        How they are trained is as in `run`.
        """
        check_study(self.folder)
        place = None if cache is None else Path(cache)
        options = RunOptions(runner, workers, gpus_per_trial, address, cache=place, stall=stall)
        return verify_study(self.folder, phi, top, seeds, options, quiet)

    def report(self, format: str | None = None) -> Path:
        """The path of the report, written again from the study's files: report.html, or that of
        the format html, md, pdf or csv. Raises ValueError for another.
        """
        return write_report(self.folder, format)


def space(name: str | Path) -> Space:
    """The shipped space of that name, or the one in that YAML file."""
    return load_space(str(name))


def plan(
    space: Space | str | Path = "efficientnet",
    budget: str | None = None,
    proxy: str = "quick",
    data: str | None = None,
    *,
    latency: int | None = None,
    cost: str | Path | None = None,
) -> Plan:
    """The distinct networks that meet a budget, measured; trains nothing and writes nothing.

    `budget` is the space's own unless given; with `latency` they are timed at that batch size too.
    Where `cost` names a function, python:module:function, or a table, FILE.csv or FILE.json, that
    tells what is timed else; `to_measure` writes such a table. `table` makes a DataFrame of a plan.
    """
    chosen = narrow(costed_by(as_space(space), cost), proxy, data=data)
    channels, classes, side = shape_of(chosen.proxies[proxy])
    return make_plan(chosen, proxy, budget, channels, classes, batch=latency, images=side)


def to_measure(
    space: Space | str | Path = "efficientnet",
    budget: str | None = None,
    proxy: str = "quick",
    data: str | None = None,
    *,
    out: str | Path,
) -> pd.DataFrame:
    """The networks whose cost on another device a budget in ms asks for, written to a folder.

    A row each: key, file, resolution, flops, params, activations, cost. In `out` are a YAML of each
    and this table, networks.csv, whose column `cost` is to be filled in for `plan` and `run`; what
    is filled in stays. Raises ValueError for a budget without ms.
    """
    chosen = narrow(as_space(space), proxy, data=data)
    channels, classes, _ = shape_of(chosen.proxies[proxy])
    networks = networks_to_measure(chosen, proxy, budget, channels, classes)
    return pd.read_csv(write_networks(Path(out), networks), dtype={"key": str})


def shape_of(proxy: Proxy) -> tuple[int | None, int | None, int | None]:
    """Channels, classes and side in pixels of a proxy's data; None where it has none."""
    info = data_info(proxy)
    return (info.channels, len(info.classes), info.side) if info else (None, None, None)


def run(
    space: Space | str | Path = "efficientnet",
    budget: str | None = None,
    proxy: str = "quick",
    data: str | None = None,
    *,
    cost: str | Path | None = None,
    train: Train | None = None,
    seeds: int | None = None,
    sweep_seeds: int | None = None,
    epochs: int | None = None,
    policy: str | None = None,
    name: str | None = None,
    results: str | Path = "results",
    runner: str = "ray",
    workers: int | None = None,
    gpus_per_trial: float = 0.0,
    address: str | None = None,
    retry_failed: bool = False,
    max_trials: int | None = None,
    max_hours: float | None = None,
    accelerator: str | None = None,
    log: Sequence[str] = (),
    mirror: str | None = None,
    stall: float = 600.0,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> SavedStudy:
    """The study of a search: planned, trained, selected, scaled up and reported.

    What is None is the space's own, or this machine's; `cost` is as in `plan`. `train` is a
    function of your own that trains in place of ours, `(network, TrainingRun)`, and yields the
    space's `metric` after each epoch. The same call again continues a study, and trains nothing
    where it is complete; so does one that `max_trials` or `max_hours` had ended.
    A Ray worker that reports no epoch for `stall` seconds, and ten times as long as epochs take, is
    given up. Images that are files are packed once, in `cache` or the user's own. Unless `quiet`,
    progress is drawn where stderr is a terminal, and logged by `logging` as "scalesearch"
    elsewhere. Raises ValueError where the directory holds another study or another process runs it.
    """
    options = RunOptions(
        runner=runner,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        retry_failed=retry_failed,
        max_trials=max_trials,
        max_hours=max_hours,
        accelerator=accelerator,
        log=tuple(log),
        mirror=mirror,
        stall=stall,
        cache=None if cache is None else Path(cache),
    )
    refuse_no_gpu(options)
    given, device = costed_by(as_space(space), cost), device_here(options)
    folder, call = Path(results), None
    if train is not None:
        given, call = trained_by(given, train)
    search = prepare(
        *(given, proxy, budget, data, seeds, epochs, folder, name, policy, device), sweep_seeds
    )
    run_search(replace(search, train=call), options, quiet)
    return SavedStudy(search.folder)


def trained_by(space: Space, train: Train) -> tuple[Space, Train | None]:
    """The space with that training; and the function, where no module has it under its name.

    Raises ValueError where the space has no metric, or the function no name.
    """
    if space.metric is None:
        raise ParameterError(
            "train", f"needs a metric in space {space.name}: {{name: mAP, goal: max}}"
        )
    name, call = reference_of(train)
    return replace(space, train=name), call


def train(
    targets: str | Path | SavedStudy | Sequence[str | Path],
    data: str | None = None,
    *,
    space: str = "efficientnet",
    proxy: str = "quick",
    train: Train | None = None,
    phi: int = 2,
    coefficients: Sequence[float] | None = None,
    match: Sequence[str] | None = None,
    axes: bool = True,
    seeds: int = 3,
    epochs: int | None = None,
    examples: int | None = None,
    output_stride: int | None = None,
    start: str | Path | None = None,
    latency: int | None = None,
    name: str | None = None,
    results: str | Path = "results",
    runner: str = "ray",
    workers: int | None = None,
    gpus_per_trial: float = 0.0,
    address: str | None = None,
    retry_failed: bool = False,
    max_trials: int | None = None,
    max_hours: float | None = None,
    accelerator: str | None = None,
    log: Sequence[str] = (),
    mirror: str | None = None,
    stall: float = 600.0,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> Front | None:
    """The front of networks trained to their end: a study's lines, folders of members, models.

    A study's lines begin at its baseline and cost up to ratio^`phi` times its flops; `match` are
    the models that are made as costly, its space's own unless given. Models are trained on `data`
    by the recipe of a `proxy` of `space`; all begin from the weights in `start`, as far as they
    fit; with `latency` they are timed at that batch size. Weights, cards and the report are in the
    study's `front`, or in `results`/`name`. The same call again adds what is lacking. None where
    `max_hours` or `max_trials` left nothing that ended. How they are trained is as in `run`;
    `train` is the function that the study was run with, where no module has it.
    """
    target = targets.folder if isinstance(targets, SavedStudy) else targets
    given = [target] if isinstance(target, str | Path) else target
    options = RunOptions(
        runner=runner,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        retry_failed=retry_failed,
        max_trials=max_trials,
        max_hours=max_hours,
        accelerator=accelerator,
        log=tuple(log),
        mirror=mirror,
        stall=stall,
        cache=None if cache is None else Path(cache),
    )
    refuse_no_gpu(options)
    wanted = TrainOptions(
        targets=tuple(map(str, given)),
        space=space,
        proxy=proxy,
        data=data,
        phi=phi,
        coefficients=None if coefficients is None else Coefficients(*coefficients),
        match=None if match is None else tuple(match),
        axes=axes,
        seeds=seeds,
        epochs=epochs,
        examples=examples,
        output_stride=output_stride,
        start=None if start is None else Path(start),
        latency=latency,
        name=name,
        results=Path(results),
        train=train,
    )
    training, folder = prepare_training(wanted)
    run_training(training, folder, options, quiet, wanted.start)
    return find_front(folder)


def evaluate(
    model: str | Path,
    data: str | None = None,
    *,
    weights: str | Path | None = None,
    split: str = "val",
    examples: int | None = None,
    held_out: int | None = None,
) -> Evaluated:
    """What a network is worth on images: accuracy, top-5, by class, confusion, calibration, speed.

    `model` is a YAML file with its weights beside it, an ONNX file, or a model of the zoo with
    `weights`. Data, and the images trained on and held out, are their card's unless given.
    """
    return evaluate_network(
        EvaluateOptions(
            model=str(model),
            weights=None if weights is None else Path(weights),
            data=data,
            split=split,
            examples=examples,
            held_out=held_out,
        )
    )


def study(folder: str | Path) -> SavedStudy:
    """The study in a directory, finished or not. Raises ValueError where there is none."""
    if not (Path(folder) / JOURNAL).is_file():
        raise ValueError(f"a study's directory must have a {JOURNAL}, got none in {folder}")
    return SavedStudy(Path(folder))


def trust(path: str | Path) -> None:
    """Let the study that a file or a directory is of run the code that it names
    (python:package.module:function), as one that was made here may.
    """
    trust_study(Path(path))


def scale(
    space: str | Path | None = None,
    *,
    coefficients: Sequence[float] | None = None,
    study: str | Path | SavedStudy | None = None,
    published: bool = False,
    mode: str = "budget",
    strategy: str = "compound",
    phi: Sequence[float] = PHIS,
    budget: str | Sequence[str] | None = None,
    match: Sequence[str] | None = None,
    output_stride: int | None = None,
    out: str | Path | None = None,
) -> Family:
    """The space's baseline scaled up, and the models that match its members' flops.

    The space is the study's where one is given, else efficientnet, unless named. By `coefficients`
    (alpha, beta, gamma), by those that a `study` found, by a named `strategy` or by the
    `published` table. `mode` is budget, in which member phi costs 2^phi times the
    baseline as measured, or `budget` where that is given; or formula, whatever that costs.
    `output_stride` is that of the baseline and of the models that match; their own unless given.
    `out` is a directory for YAML, CSV and JSON.
    """
    folder = study.folder if isinstance(study, SavedStudy) else study
    budgets = [budget] if isinstance(budget, str) else budget
    options = ScaleOptions(
        space=None if space is None else str(space),
        published=published,
        mode=mode,
        strategy=strategy,
        coefficients=None if coefficients is None else Coefficients(*coefficients),
        study=None if folder is None else Path(folder),
        phi=tuple(phi),
        targets=tuple(parse_budget(text).target for text in budgets or ()),
        match=None if match is None else tuple(match),
        out=None if out is None else Path(out),
        output_stride=output_stride,
    )
    return scale_family(options)


def table(what: Plan | Family) -> pd.DataFrame:
    """A plan's candidates, or a family's members and those that match them, a row each."""
    if isinstance(what, Plan):
        return plan_table(what)
    families = {what.baseline.name: what.members, **what.matched}
    return pd.DataFrame(
        {"family": name, **plain(member)}
        for name, members in families.items()
        for member in members
    )


def build(
    model: str | Path | Model | Member, weights: bool | str | Path | None = None
) -> nn.Module:
    """The network of a zoo model's name, of a model's YAML file, of a function of your own
    (python:package.module:function) or of a family's member, with fresh weights.

    A YAML file that `scalesearch export` left beside its .safetensors, or their folder, is built
    with those weights, and a member that was trained with those of its first seed. `weights` are a
    file's; True wants some, False none. Raises ValueError, in one line, for a name or a file that
    is none.
    """
    network = build_model(as_model(model))
    path = model_file(str(model)) if isinstance(model, str | Path) else None
    source = weights_beside(path) if path and weights in (None, True) else None
    if isinstance(weights, str | Path):
        source = Path(weights)
    if source is not None:
        load_weights(network, read_weights(source), str(source))
    elif weights:
        raise ParameterError("weights", f"must be a file, for {model} has none beside it")
    return network


def cost(
    model: str | Path | Model | Member,
    resolution: int | None = None,
    output_stride: int | None = None,
) -> Cost:
    """Flops (multiply-adds), parameters and activations of one image, measured by fvcore.

    `model` is what `build` takes; `resolution`, in pixels, and `output_stride`, pixels of an image
    to one of the last map, are its own unless given.
    """
    return measured_cost(at_output_stride(as_model(model, resolution), output_stride))


def load_torchvision(model: nn.Module, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """`model`, a network of the zoo, with the weights of torchvision's model of the same name.

    Raises ValueError for a name that is missing or left over, a shape that differs, or a network
    that is none of ours.
    """
    if not isinstance(model, Network):
        raise ValueError(f"model must be a network of `build`, got {type(model).__name__}")
    return load_torchvision_weights(model, state_dict)


def replay(
    policy: Policy, table: str | Path | Table, resamplings: int = 200, name: str = ""
) -> Replayed:
    """What `policy` spends and what its pick costs, over that many orders of a table's seeds.

    `table` is one that `read_table` gave, or the directory of a study whose every candidate has
    every seed, as of `--policy grid`. Nothing is trained. Raises ValueError for a table with gaps.
    """
    found = table if isinstance(table, Table) else read_table(Path(table))
    return replay_policy(policy, found, resamplings, name)


def as_space(given: Space | str | Path) -> Space:
    """The space itself, or the one of that name or file."""
    return given if isinstance(given, Space) else named_space(str(given))


def as_model(given: str | Path | Model | Member, resolution: int | None = None) -> Model:
    """The model itself, a member's, or the one of that name or file, at `resolution`."""
    model = given.arch if isinstance(given, Member) else given
    if isinstance(model, str | Path):
        return find_model(str(model), resolution)
    check_range("resolution", resolution, 1)
    return at_resolution(model, resolution) if resolution else realised(model)
