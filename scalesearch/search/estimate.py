"""What a run is expected to take: all the trials still to come, and their time on this machine."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from scalesearch.networks.models import Model
from scalesearch.search.events import Work
from scalesearch.search.options import (
    RunOptions,
    device_here,
    device_of,
    processes_of,
    worker_count,
)
from scalesearch.search.schedule import Round, in_one_round, wall_time
from scalesearch.selection import answer
from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import POLICIES, grid
from scalesearch.selection.terms import Policy, Terms
from scalesearch.spaces.space import Recipe
from scalesearch.studies import read_trials
from scalesearch.studies.setup import Search, networks
from scalesearch.trials.key import RATES
from scalesearch.trials.pace import Pace, features, fit, recent_pace
from scalesearch.units import counted, duration, gpus

RAY_START = 12.0
EVALUATION = 0.3  # of a training step: forward alone, in larger batches
NOISE = 0.03  # of a loss, from seed to seed: what the committed proxies show


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would train, and how long that takes on this machine; `text` says it.

    `seeds` are those of a candidate at most, `epochs` those of a trial; `trials` counts one that
    pauses and is gone on with twice, and the checks of the answer too. How long a user's own
    training takes is not known.
    """

    study: str
    candidates: int
    policy: str
    seeds: int
    trials: int
    candidate_epochs: int
    epochs: int
    workers: int
    expected_seconds: float | None
    text: str


def policy_of(search: Search) -> Policy:
    """The policy of a search; Optuna's own stops the trials of a full grid."""
    return POLICIES.get(search.space.policy, grid)


def policy_terms(search: Search, failed: frozenset[tuple[str, int]] = frozenset()) -> Terms:
    """What the policy of a search decides about; `failed` are not to be trained any further."""
    return Terms(
        candidates=tuple(candidate.key for candidate in search.plan.candidates),
        baseline=search.plan.baseline.key,
        seeds=search.proxy.seeds,
        epochs=search.proxy.recipe.epochs,
        failed=failed,
    )


def expected_work(
    search: Search, curves: Curves, terms: Terms, begun: Container[tuple[str, int]]
) -> tuple[Work, ...]:
    """All that a run is still expected to train, in its order, from the losses known so far, but
    for the trials that it has begun."""
    rounds = expected_rounds(policy_of(search), curves, terms)
    return (*parts(rounds, begun), *expected_checks(search))


def parts(rounds: Sequence[Round], begun: Container[tuple[str, int]] = ()) -> list[Work]:
    """The work of those rounds, in its order, without the trials that are begun."""
    work = [one for of in rounds for one in of.work.items()]
    return [part for ask, part in work if (ask.key, ask.seed) not in begun]


def expected_rounds(policy: Policy, curves: Curves, terms: Terms) -> list[Round]:
    """All that a policy is still expected to ask for, decision after decision.

    It is asked as if every network kept the mean loss that it has now, all the same where there is
    none yet, with noise from seed to seed.
    """
    rng = np.random.default_rng(0)
    known = levels(curves)
    usual = float(np.mean([*known.values()])) if known else 1.0
    imagined = dict(curves)
    rounds = []
    while (decision := policy(imagined, terms)).asks:
        work = {}
        for ask in decision.asks:
            so_far = imagined.get((ask.key, ask.seed), ())
            more = ask.epochs - len(so_far)
            noise = 1 + NOISE * rng.standard_normal(more)
            imagined[ask.key, ask.seed] = [*so_far, *known.get(ask.key, usual) * noise]
            work[ask] = Work(ask.key, more)
        rounds.append(Round(work, frozenset(decision.sure)))
    return rounds


def levels(curves: Curves) -> dict[str, float]:
    """Each network's mean loss after the last epoch that one of its seeds has reached."""
    ends: dict[str, dict[int, list[float]]] = {}
    for (network, _), curve in curves.items():
        ends.setdefault(network, {}).setdefault(len(curve), []).append(curve[-1])
    return {network: float(np.mean(of[max(of)])) for network, of in ends.items()}


def expected_checks(search: Search) -> list[Work]:
    """The sweep of the learning rate and the look at the test split, of networks like the ones."""
    candidates, epochs = search.plan.candidates, search.proxy.recipe.epochs
    swept = answer.swept(search) * (answer.swept_seeds(search) * (len(RATES) - 1))
    tested = [search.plan.baseline.key, candidates[0].key] if looked_at_test(search) else []
    looks = [Work(key, 0) for key in tested * search.proxy.seeds]  # at weights that are there
    return [*(Work(key, epochs) for key in swept), *looks]


def looked_at_test(search: Search) -> bool:
    """Whether a test split is looked at in the end: a user's function is not asked to."""
    return bool(search.images.test) and search.space.train is None


def estimate(search: Search, options: RunOptions) -> Estimate:
    """What a run is expected to train and how long that takes here, by timing some steps."""
    recipe: Recipe = search.proxy.recipe
    terms = policy_terms(search)
    asked = expected_rounds(policy_of(search), {}, terms)
    epochs = sum(part.epochs for part in parts(asked) if part.network != terms.baseline)
    rounds = [*asked, in_one_round(expected_checks(search))]
    count = len(parts(rounds))
    sizes = (search.images.train or 0, search.images.val or 0)
    wall = None
    if search.space.train is None:
        wall = seconds_of(networks(search), sizes, recipe, rounds, options)
    long = "as long as your training takes" if wall is None else f"about {duration(wall)}"
    candidates = len(terms.candidates)
    text = (
        f"{candidates} candidates and the 1x baseline, policy {search.space.policy}, at most "
        f"{terms.seeds} seeds, in {search.folder}: about {count} trials if the candidates are "
        f"hard to tell apart, fewer if not; {epochs} epochs of candidates ({recipe.epochs} a "
        f"trial); {long} with {counted(worker_count(options), 'worker')}"
    )
    if options.gpus_per_trial:
        text += f", {gpus(options.gpus_per_trial)} each"
        if wall is not None and device_here(options) == "cpu":
            text += "; steps were timed on this machine's CPU, for torch finds no GPU here"
    return Estimate(
        study=str(search.folder),
        candidates=candidates,
        policy=search.space.policy,
        seeds=terms.seeds,
        trials=count,
        candidate_epochs=epochs,
        epochs=recipe.epochs,
        workers=worker_count(options),
        expected_seconds=wall,
        text=text,
    )


def seconds_of(
    models: Sequence[Model],
    images: tuple[int, int],
    recipe: Recipe,
    rounds: Sequence[Round],
    options: RunOptions,
    pace: Pace | None = None,
) -> float:
    """How long the work of those rounds takes: at that pace, or at this machine's.

    `images` are those that are trained on, and those that are held out.
    """
    trained_on, held_out = images
    steps = (trained_on + EVALUATION * held_out) / recipe.batch_size
    archs = {arch.key: arch for arch in models}
    workers, device = worker_count(options), device_here(options)
    share = math.ceil(recipe.batch_size / processes_of(options))
    pace = pace or recent_pace([*archs.values()], share, workers, device)
    step = {key: pace.step_seconds(arch) for key, arch in archs.items()}
    wall = wall_time(rounds, lambda part: steps * part.epochs * step[part.network], workers)
    return wall + (RAY_START if options.runner == "ray" else 0)


def study_pace(search: Search, options: RunOptions) -> Pace | None:
    """The pace at which a study's own networks were trained; None where none was to its end, or
    they were on another kind of device than the options say."""
    trials = read_trials(search.folder)
    ended = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    alike = ended["device"].str.startswith("CPU ") == (device_of(options) == "cpu")
    archs = {arch.key: arch for arch in networks(search)}
    ended = ended[alike & ended["candidate"].isin(list(archs))]
    if not len(ended):
        return None
    steps = ended["epochs"] * math.ceil((search.images.train or 0) / search.proxy.recipe.batch_size)
    seconds = (ended["seconds"] / steps).groupby(ended["candidate"]).median()
    rows = np.stack([features(archs[str(key)]) for key in seconds.index])
    return fit(rows, seconds.to_numpy(np.float64))
