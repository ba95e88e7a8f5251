"""A study made ready: its space, plan, data, and the trials that it has."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from scalesearch.data import DataInfo, absolute, describe
from scalesearch.errors import check_choice, check_range
from scalesearch.files import optional_document, write_document, write_text
from scalesearch.networks.custom import functions_named
from scalesearch.networks.files import SUFFIXES, read_model
from scalesearch.networks.models import Model, load_function
from scalesearch.plans.document import Plan, read_plan, read_timings, write_plan
from scalesearch.plans.plan import make_plan
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import dump_space, load_space, narrow
from scalesearch.spaces.space import (
    FEWEST_SEEDS,
    MOST_EPOCHS,
    MOST_SEEDS,
    PolicyName,
    Proxy,
    Space,
)
from scalesearch.studies import Study
from scalesearch.studies.images import Images, images_of, packed, unknown_images
from scalesearch.trials.custom import CustomTraining, Train
from scalesearch.trials.growth import ratios
from scalesearch.trials.trial import Trial
from scalesearch.trusted import check_trusted, study_of, trust

DATA = "data.json"


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
    """A study's space with one proxy left, its plan, its directory, its images.

    Its plan has the networks themselves where it was made here; `open_search` reads one that has
    only what they cost. `packed` is where its trials read images that were packed for them.
    """

    space: Space
    plan: Plan
    folder: Path
    images: Images
    packed: str | None = None
    train: Train | None = None

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
    device: str | None = None,
    sweep_seeds: int | None = None,
) -> Search:
    """The search that those choices make, its latencies timed on `device`, cpu or cuda.

    Writes nothing; raises ValueError for a bad choice.
    """
    check_range("seeds", seeds, FEWEST_SEEDS, MOST_SEEDS)
    check_range("sweep_seeds", sweep_seeds, 0, MOST_SEEDS)
    check_range("epochs", epochs, 1, MOST_EPOCHS)
    if data is not None:
        data = absolute(data)
    if space.metric is not None and space.train is None:
        raise ValueError(
            f"space {space.name}: a metric is what `train` tells, and there is no train: name a "
            "function, python:package.module:function"
        )
    space = narrow(space, proxy_name, data=data, seeds=seeds, sweep_seeds=sweep_seeds)
    proxy = space.proxies[proxy_name]
    if epochs is not None:
        recipe = replace(proxy.recipe, epochs=epochs)
        space = narrow(space, proxy_name, recipe=recipe)
    if policy is not None:
        check_choice("policy", policy, get_args(PolicyName))
        space = replace(space, policy=cast(PolicyName, policy))
    asked = parse_budget(budget or space.budget)
    space = replace(space, budget=asked.text)
    images = images_of(space.proxies[proxy_name], proxy_name, space.train)
    folder = study_folder(results, name or f"{space.name}-{data_label(images.name)}-{asked.label}")
    had, now = proxy_of_study(folder, proxy_name), space.proxies[proxy_name]
    if seeds is None and had:  # what an earlier run was told still holds
        space = narrow(space, proxy_name, seeds=max(had.seeds, now.seeds))
    if sweep_seeds is None and had:
        space = narrow(space, proxy_name, sweep_seeds=max(had.sweep_seeds, now.sweep_seeds))
    search = planned(space, proxy_name, folder, images, device)
    refuse_another(search)
    return search


def proxy_of_study(folder: Path, proxy_name: str) -> Proxy | None:
    """The proxy of the study in that directory, which has its seeds; None where there is none."""
    if not (folder / "space.yaml").exists():
        return None
    return own_space(folder).proxies.get(proxy_name)


def planned(
    space: Space, proxy_name: str, folder: Path, images: Images, device: str | None = None
) -> Search:
    """The search of a directory, planned for its images.

    What a study has timed is not timed again: its candidates must stay the same.
    """
    timings = read_timings(folder / "latency.json")
    shape = (images.channels, images.classes)
    plan = make_plan(space, proxy_name, None, *shape, timings, images=images.side, device=device)
    return Search(space, plan, folder, images)


def data_label(name: str) -> str:
    """A data set's name as it may stand in a study's: of a path the last part alone."""
    last = Path(name.rpartition(":")[2]).stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "data"


def refuse_another(search: Search) -> None:
    """Raise ValueError where the directory holds another study than this one.

    More seeds, of the sweep too, or other limits of time and memory, are the same study, gone on
    with.
    """
    path = search.folder / "space.yaml"
    if not path.exists():
        # a run that was killed before it wrote anything leaves what begins with a dot: its lock
        if search.folder.exists() and any(p.name[0] != "." for p in search.folder.iterdir()):
            raise ValueError(
                f"a study's directory must be its own, and {search.folder} holds other files: "
                "choose another name"
            )
        return
    # read as a space, so that what was left to a default is compared with that default
    earlier, name = load_space(str(path)), search.plan.proxy
    if name in earlier.proxies:
        had, wanted = earlier.proxies[name], search.proxy
        seeds, swept = max(had.seeds, wanted.seeds), max(had.sweep_seeds, wanted.sweep_seeds)
        if (seeds, swept) == (wanted.seeds, wanted.sweep_seeds):
            earlier = narrow(earlier, name, seeds=seeds, sweep_seeds=swept)
    limits = {name: getattr(search.space, name) for name in ("epoch_limit", "memory_limit")}
    earlier = replace(earlier, **limits)
    before = yaml.safe_load(dump_space(earlier))
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
    return [search.plan.baseline.arch, *(candidate.arch for candidate in search.plan.candidates)]


def with_images(
    search: Search, cache: Path | None, models: Sequence[Model] | None = None
) -> Search:
    """The search with its images packed for its networks, or for those `models`.

    Raises ValueError where they are others than the study has been trained with.
    """
    images, source = packed(search.images, search.proxy, models or networks(search), cache)
    had = optional_document(search.folder / DATA, Images)
    if had and had.contents not in (None, images.contents):
        raise ValueError(
            f"{search.folder} was trained with other images: files of {images.name} have changed "
            "since; choose another name"
        )
    return replace(search, images=images, packed=source)


def trial_of(search: Search, arch: Model, seed: int) -> Trial:
    """The trial of one network and seed under the search's proxy."""
    proxy = search.proxy
    return Trial(
        arch=replace(arch, name=""),
        seed=seed,
        data=search.packed or proxy.data or "",
        train_examples=proxy.train_examples,
        val_examples=proxy.val_examples,
        recipe=proxy.recipe,
        grown_by=ratios(arch, search.plan.baseline.arch, proxy.recipe),
        custom=custom_training(search),
    )


def custom_training(search: Search) -> CustomTraining | None:
    """The user's own training that a space names; None where it names none."""
    space = search.space
    if space.train is None:
        return None
    return CustomTraining(
        function=space.train,
        metric=space.compares,
        limit=space.epoch_limit,
        study=str(search.folder.resolve()),
        call=search.train,
        memory=space.memory_limit,
    )


def check_training(search: Search) -> None:
    """Raise ValueError where the function that trains is in no module, and none was given."""
    if search.space.train is None or search.train is not None:
        return
    try:
        load_function(search.space.train)
    except ValueError as error:
        raise ValueError(
            f"{error}; one that is in no module is given in Python, as `train`"
        ) from None


def open_study(search: Search) -> Study:
    """The study of a search, none of its trials left running. Hold its lock."""
    keys = [search.plan.baseline.key, *(candidate.key for candidate in search.plan.candidates)]
    asha = math.ceil(search.proxy.recipe.epochs / 4) if search.space.policy == "asha" else None
    study = Study(search.folder, keys, asha)
    study.release()
    return study


def write_setup(search: Search) -> None:
    """Write what a search is made of: its space, its images, its plan; note what it may call."""
    for function in search.space.functions:
        trust(search.folder, function)
    write_text(search.folder / "space.yaml", dump_space(search.space))
    write_images(search.folder, search.images)
    write_plan(search.folder, search.plan)


def write_images(folder: Path, images: Images) -> None:
    """Write what a study keeps of its images."""
    write_document(folder / DATA, images)


def open_search(folder: Path) -> Search:
    """The search that made a study, as the study's files have it: nothing is decoded or planned.

    Raises ValueError where the directory holds none.
    """
    space = own_space(folder)
    plan = read_plan(folder)
    if plan.proxy not in space.proxies:
        raise ValueError(
            f"{folder / 'space.yaml'} must have the proxy {plan.proxy} of plan.json, got "
            f"{', '.join(space.proxies)}"
        )
    return Search(space, plan, folder, read_images(folder, space.proxies[plan.proxy]))


def plan_again(folder: Path) -> Search:
    """The search that made a study, planned once more, so that its networks can be built."""
    check_study(folder)
    space = own_space(folder)
    (proxy,) = space.proxies
    return planned(space, proxy, folder, images_of(space.proxies[proxy], proxy, space.train))


def check_study(folder: Path) -> None:
    """Raise ParameterError where a study that was not made here would run code."""
    check_trusted(folder, *own_space(folder).functions)


def trust_study(path: Path) -> None:
    """Let the study that a file or a folder is of call the functions that the two name."""
    study = study_of(path)
    if study is None:
        return
    functions = {*own_space(study).functions} if (study / "space.yaml").exists() else set()
    if path.suffix in SUFFIXES and path.name != "space.yaml":
        functions |= {*functions_named(read_model(path))}
    for function in sorted(functions):
        trust(study, function)


def own_space(folder: Path) -> Space:
    """The space of a study. Raises ValueError where it has none."""
    if not (folder / "space.yaml").exists():
        raise ValueError(f"a study must have a space.yaml, got none in {folder}")
    return load_space(str(folder / "space.yaml"))


def read_images(folder: Path, proxy: Proxy) -> Images:
    """The images of a study; of one of the first version, which did not keep them, their name."""
    return optional_document(folder / DATA, Images) or unknown_images(str(proxy.data))
