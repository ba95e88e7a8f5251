"""A search made ready: its plan, its study directory, the trials that it needs."""

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import yaml

from scalesearch.budget import parse_budget
from scalesearch.data import DataInfo, absolute, describe
from scalesearch.files import (
    grid_table,
    plan_document,
    plan_table,
    read_timings,
    study_folder,
    write_csv,
    write_json,
    write_text,
    write_timings,
)
from scalesearch.gates import RATES
from scalesearch.models import Model
from scalesearch.plan import Plan, make_plan
from scalesearch.policy import POLICIES, Ask, Decision, Terms, grid
from scalesearch.runners import Desk
from scalesearch.space import PolicyName, Proxy, Space, dump_space, load_space, narrow
from scalesearch.study import Study
from scalesearch.trial import Trial, decoded


@dataclass(frozen=True, slots=True)
class Search:
    """A search that is ready to run: its space with one proxy left, its plan, its directory."""

    space: Space
    plan: Plan
    folder: Path
    notes: tuple[str, ...]
    has_test: bool

    @property
    def proxy(self) -> Proxy:
        """The proxy that is trained."""
        return self.space.proxies[self.plan.proxy]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How trials are run, which never changes what they measure."""

    runner: str = "ray"
    workers: int | None = None
    gpus_per_trial: float = 0.0
    address: str | None = None
    retry_failed: bool = False
    max_trials: int | None = None
    max_hours: float | None = None
    accelerator: str | None = None
    log: tuple[str, ...] = ()
    mirror: str | None = None
    verbose: bool = False


def worker_count(options: RunOptions) -> int:
    """How many trials run at once on this machine."""
    return 1 if options.runner == "inline" else options.workers or len(os.sched_getaffinity(0))


def data_info(proxy: Proxy) -> DataInfo | None:
    """What the proxy's data are, None where it leaves them to the user."""
    return describe(proxy.data) if proxy.data else None


def prepare(
    space: Space,
    proxy_name: str,
    budget: str | None,
    data: str | None,
    seeds: int | None,
    epochs: int | None,
    results: Path,
    name: str | None,
    policy: str | None = None,
) -> Search:
    """The search that those choices make. Writes nothing; raises ValueError for a bad one."""
    if data is not None:
        data = absolute(data)
    space = narrow(space, proxy_name, data=data, seeds=seeds)
    proxy = space.proxies[proxy_name]
    if epochs is not None:
        recipe = replace(proxy.recipe, epochs=epochs)
        space = narrow(space, proxy_name, recipe=recipe)
        proxy = space.proxies[proxy_name]
    if proxy.data is None:
        raise ValueError(f"proxy {proxy_name} needs data of your own: name it with --data")
    if policy is not None:
        space = replace(space, policy=known_policy(policy))
    space = replace(space, budget=budget or space.budget)
    found = decoded(proxy.data, proxy.train_examples, proxy.val_examples)
    channels, classes = found.train.pixels.shape[1], len(found.classes)
    label = parse_budget(space.budget).label
    folder = study_folder(results, name or f"{space.name}-{data_label(found.name)}-{label}")
    # what a study has timed is not timed again: its candidates must stay the same
    timings = read_timings(folder / "latency.json")
    plan = make_plan(space, proxy_name, None, channels, classes, timings)
    notes = found.notes
    if found.synthetic:
        notes = (*notes, "the images are synthetic: the answer says nothing of photographs")
    search = Search(space, plan, folder, notes, has_test=found.test is not None)
    refuse_another(search)
    return search


def known_policy(name: str) -> PolicyName:
    """The name as one of the policies. Raises ValueError where it is none."""
    for known in get_args(PolicyName):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise ValueError(f"--policy must be one of {', '.join(get_args(PolicyName))}, got {name!r}")


def data_label(name: str) -> str:
    """A data set's name as it may stand in a study's: of a path the last part alone."""
    last = Path(name.rpartition(":")[2]).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "data"


def refuse_another(search: Search) -> None:
    """Raise ValueError where the directory holds another study than this one."""
    path = search.folder / "space.yaml"
    if not path.exists():
        if search.folder.exists() and any(search.folder.iterdir()):
            raise ValueError(
                f"a study's directory must be its own, and {search.folder} holds other files: "
                "choose another --name"
            )
        return
    # read as a space, so that what was left to a default is compared with that default
    before = yaml.safe_load(dump_space(load_space(str(path))))
    now = yaml.safe_load(dump_space(search.space))
    if differing := difference(before, now):
        raise ValueError(
            f"{search.folder} belongs to another study ({differing}): choose another --name"
        )


def difference(before: Any, now: Any, where: str = "") -> str | None:
    """The first place where two plain documents differ, with both values; None if nowhere."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            found = difference(before.get(key), now.get(key), f"{where}.{key}".lstrip("."))
            if found:
                return found
        return None
    return None if before == now else f"{where} was {before!r}, is {now!r}"


def networks(search: Search) -> list[Model]:
    """What a search trains: the baseline, then the candidates."""
    return [search.plan.baseline, *(candidate.arch for candidate in search.plan.candidates)]


def trial_of(search: Search, arch: Model, seed: int) -> Trial:
    """The trial of one network and seed under the search's proxy."""
    proxy = search.proxy
    return Trial(
        arch=replace(arch, name=""),
        seed=seed,
        data=str(search.proxy.data),
        train_examples=proxy.train_examples,
        val_examples=proxy.val_examples,
        recipe=proxy.recipe,
    )


def open_study(search: Search) -> Study:
    """The study of a search, its trials planned and none left running. Hold its lock."""
    write_text(search.folder / "space.yaml", dump_space(search.space))
    document = plan_document(search.plan)
    write_json(search.folder / "plan.json", document)
    write_csv(search.folder / "plan.csv", plan_table(document))
    if search.plan.timings is not None:
        write_timings(search.folder / "latency.json", search.plan.timings)
    write_csv(search.folder / "grid.csv", grid_table(search.plan))
    keys = [arch.key for arch in networks(search)]
    asha = math.ceil(search.proxy.recipe.epochs / 4) if search.space.policy == "asha" else None
    study = Study(search.folder, keys, asha)
    study.release()
    return study


def decide(search: Search, study: Study) -> Decision:
    """What the space's policy makes of all that the study knows; candidates it stops are pruned."""
    terms = Terms(
        candidates=tuple(candidate.key for candidate in search.plan.candidates),
        baseline=search.plan.baseline.key,
        seeds=search.proxy.seeds,
        epochs=search.proxy.recipe.epochs,
        failed=frozenset((key, seed) for key, seed, _ in study.failed() | study.pruned()),
    )
    curves = {
        (key, seed): [row["loss"] for row in curve]
        for (key, seed, _), curve in study.history("val").items()
    }
    decision = POLICIES.get(search.space.policy, grid)(curves, terms)
    for key, stop in decision.stops.items():
        for who in [who for who in study.recorded() if who[0] == key and who[2] == "val"]:
            study.prune(who, stop.reason)
    return decision


def plan_asks(search: Search, study: Study, asks: Iterable[Ask]) -> None:
    """Plan the trials that a policy asks for; those short of the last epoch pause."""
    archs = {arch.key: arch for arch in networks(search)}
    last = search.proxy.recipe.epochs
    study.plan(
        replace(
            trial_of(search, archs[ask.key], ask.seed),
            pause=ask.epochs if ask.epochs < last else None,
        )
        for ask in asks
    )


def run_trials(study: Study, more: Callable[[], None], run: Callable[[Desk], None]) -> None:
    """Run what is waiting in the study and what `more` plans whenever nothing is left.

    Whatever stops it, no trial is left running.
    """

    def ask() -> Trial | None:
        if not study.waiting() and not study.running():
            more()
        return study.ask()

    more()
    if not study.waiting():
        return
    try:
        run(Desk(ask, study.report, study.stopped, study.complete, study.fail, study.lost))
    finally:
        study.release()


def plan_test(search: Search, study: Study, chosen: str) -> None:
    """Plan the one look at the test split: the chosen network and the baseline, seed 0."""
    if search.has_test:
        study.plan(
            replace(trial_of(search, arch, 0), split="test")
            for arch in networks(search)
            if arch.key in (search.plan.baseline.key, chosen)
        )


def plan_sweep(search: Search, study: Study, keys: Iterable[str]) -> None:
    """Plan the sweep of the learning rate on those networks, seed 0."""
    archs = {arch.key: arch for arch in networks(search)}
    study.plan(
        replace(trial_of(search, archs[key], 0), rate=rate)
        for key in keys
        for rate in RATES
        if rate != 1
    )
