"""A study made ready: its space, plan, data, and the trials that it has."""

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from scalesearch.data import DataInfo, absolute, describe
from scalesearch.errors import ParameterError, check_choice
from scalesearch.files import write_csv, write_json, write_text
from scalesearch.networks.models import Model
from scalesearch.plans.document import (
    grid_table,
    plan_document,
    plan_table,
    read_timings,
    write_timings,
)
from scalesearch.plans.plan import Plan, make_plan
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import dump_space, load_space, narrow
from scalesearch.spaces.space import PolicyName, Proxy, Space
from scalesearch.studies import Study
from scalesearch.trials.trial import Trial, decoded


def study_folder(results: Path, name: str) -> Path:
    """The directory of the study of that name. Raises ValueError for a name that leaves it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            "a study's name must be letters, digits, '.', '_' and '-', at most 100 and no '.' "
            f"first; got {name!r}"
        )
    return results / name


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
        raise ParameterError(
            "data",
            f"must be given, for proxy {proxy_name} brings none: imagefolder:DIR, npz:FILE or "
            "another",
        )
    if policy is not None:
        check_choice("policy", policy, get_args(PolicyName))
        space = replace(space, policy=cast(PolicyName, policy))
    asked = parse_budget(budget or space.budget)
    space = replace(space, budget=asked.text)
    found = decoded(proxy.data, proxy.train_examples, proxy.val_examples)
    channels, classes = found.train.pixels.shape[1], len(found.classes)
    folder = study_folder(results, name or f"{space.name}-{data_label(found.name)}-{asked.label}")
    # what a study has timed is not timed again: its candidates must stay the same
    timings = read_timings(folder / "latency.json")
    plan = make_plan(space, proxy_name, None, channels, classes, timings)
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
                "choose another name"
            )
        return
    # read as a space, so that what was left to a default is compared with that default
    before = yaml.safe_load(dump_space(load_space(str(path))))
    now = yaml.safe_load(dump_space(search.space))
    if differing := difference(before, now):
        raise ValueError(
            f"{search.folder} belongs to another study ({differing}): choose another name"
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


def open_search(folder: Path) -> Search:
    """The search that made a study. Raises ValueError where the directory holds none."""
    if not (folder / "space.yaml").exists():
        raise ValueError(f"a study must have a space.yaml, got none in {folder}")
    space = load_space(str(folder / "space.yaml"))
    (proxy,) = space.proxies
    return prepare(space, proxy, None, None, None, None, folder.parent, folder.resolve().name)
