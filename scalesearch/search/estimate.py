"""What a run would take, before it is begun."""

import math
from typing import Any

from scalesearch.search.driver import RunOptions, worker_count
from scalesearch.selection.policy import FIRST_SEEDS, MIN_ALIVE, MIN_SEEDS, SHARE
from scalesearch.spaces.space import Proxy, Recipe
from scalesearch.studies.setup import Search, networks
from scalesearch.trials.pace import calibrate
from scalesearch.trials.trial import decoded
from scalesearch.units import duration

RAY_START = 12.0
EVALUATION = 0.3  # of a training step: forward alone, in larger batches


def estimate(search: Search, options: RunOptions) -> dict[str, Any]:
    """How many epochs a run would train at most and how long that takes here, by timing steps."""
    recipe: Recipe = search.proxy.recipe
    data = decoded(str(search.proxy.data), search.proxy.train_examples, search.proxy.val_examples)
    steps = len(data.train) / recipe.batch_size
    steps += EVALUATION * len(data.val) / recipe.batch_size
    pace = calibrate(networks(search), recipe.batch_size, worker_count(options))
    first, *others = [pace.step_seconds(arch) for arch in networks(search)]
    seeds, epochs = most_epochs(search.space.policy, len(others), search.proxy)
    mean = sum(others) / len(others)
    checks = 5 * mean + first  # the sweep on two candidates, and the test's two trials
    busy = steps * (epochs * mean + (seeds * first + checks) * recipe.epochs)
    wall = busy / worker_count(options) + (RAY_START if options.runner == "ray" else 0)
    return {
        "study": str(search.folder),
        "candidates": len(search.plan.candidates),
        "policy": search.space.policy,
        "seeds": seeds,
        "candidate_epochs": epochs,
        "epochs": recipe.epochs,
        "workers": worker_count(options),
        "expected_seconds": wall,
        "text": f"{len(search.plan.candidates)} candidates and the 1x baseline, policy "
        f"{search.space.policy}, at most {seeds} seeds and {epochs} epochs of candidates "
        f"({recipe.epochs} a trial) in {search.folder}: at most about {duration(wall)} with "
        f"{worker_count(options)} workers",
    }


def most_epochs(policy: str, candidates: int, proxy: Proxy) -> tuple[int, int]:
    """The most seeds, and the most epochs of candidates, that a search comes to."""
    last, seeds = proxy.recipe.epochs, proxy.seeds
    whole = candidates * seeds * last
    if policy != "rungs":
        return seeds, whole
    first, half = min(FIRST_SEEDS, seeds), math.ceil(last / 2)
    alive = min(candidates, max(MIN_ALIVE, math.ceil(candidates / 2)))
    least = first * (half * candidates + (last - half) * alive)
    least += last * alive * (min(MIN_SEEDS, seeds) - first)
    return seeds, max(least, min(whole, math.floor(SHARE * whole)))
