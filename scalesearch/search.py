"""A search made ready: its plan, its study directory, the trials that it needs."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from scalesearch.data import DataInfo, absolute, describe
from scalesearch.files import (
    plan_document,
    plan_table,
    study_folder,
    write_csv,
    write_json,
    write_text,
)
from scalesearch.models import Model
from scalesearch.plan import Plan, make_plan
from scalesearch.runners import Desk
from scalesearch.space import Proxy, Space, dump_space, load_space, narrow
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
    space = replace(space, budget=budget or space.budget)
    found = decoded(proxy.data, proxy.train_examples, proxy.val_examples)
    channels, classes = found.train.pixels.shape[1], len(found.classes)
    plan = make_plan(space, proxy_name, None, channels, classes)
    folder = study_folder(
        results, name or f"{space.name}-{data_label(found.name)}-{plan.budget.text}"
    )
    notes = found.notes
    if found.synthetic:
        notes = (*notes, "the images are synthetic: the answer says nothing of photographs")
    search = Search(space, plan, folder, notes, has_test=found.test is not None)
    refuse_another(search)
    return search


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


def planned_trials(search: Search) -> list[Trial]:
    """Every candidate and the 1x baseline with every seed; a seed's trials stand together."""
    archs = [search.plan.baseline, *(candidate.arch for candidate in search.plan.candidates)]
    return [trial_of(search, arch, seed) for seed in range(search.proxy.seeds) for arch in archs]


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
    keys = [search.plan.baseline.key, *(candidate.key for candidate in search.plan.candidates)]
    study = Study(search.folder, keys)
    study.plan(planned_trials(search))
    # a driver may have died after it planned the look at the test split
    for key in sorted(key for key, _, split in study.recorded() if split == "test"):
        plan_test(search, study, key)
    study.release()
    return study


def run_trials(study: Study, run: Callable[[Desk], None]) -> None:
    """Run what is waiting in the study; whatever stops it, no trial is left running."""
    if not study.waiting():
        return
    try:
        run(desk_of(study))
    finally:
        study.release()


def desk_of(study: Study) -> Desk:
    """The study as runners see it."""
    return Desk(
        ask=study.ask,
        report=study.report,
        stopped=study.stopped,
        complete=study.complete,
        fail=study.fail,
        lost=study.lost,
    )


def plan_test(search: Search, study: Study, chosen: str) -> None:
    """Plan the one look at the test split: the chosen network and the baseline, seed 0."""
    archs = [search.plan.baseline, *(candidate.arch for candidate in search.plan.candidates)]
    if search.has_test:
        study.plan(
            replace(trial_of(search, arch, 0), split="test")
            for arch in archs
            if arch.key in (search.plan.baseline.key, chosen)
        )
