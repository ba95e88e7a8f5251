"""The calibration in short: searches with a known truth, run end to end under the default policy.

results/calibration.md has the long form; `python -m benchmarks.calibration` makes it.
"""

import json

import numpy as np
import pytest

from benchmarks.calibration import RESULTS, answers, by_default, in_figures, on_the_way, shown
from benchmarks.calibration_page import page
from benchmarks.choice import PAGE, choice, studies
from benchmarks.choice import page as choice_page
from benchmarks.worlds import REPORTED, World, draw
from scalesearch.selection.adaptive import adaptive, allowance

COUNT = 60
WORLDS = {world.name: world for world in REPORTED}


@pytest.mark.parametrize(
    "name",
    ["equal truths", "spread truths", "the best is 3x noisier", "crossing curves", "2 seeds"],
)
def test_the_set_holds_the_best(name: str) -> None:
    rng = np.random.default_rng(7)
    searches = [draw(WORLDS[name], rng) for _ in range(COUNT)]
    found = [by_default(search, *reversed(shown(search)), share=0.5) for search in searches]
    # less two standard errors
    assert sum(answer.held for answer in found) >= 0.93 * COUNT - 4
    assert all(answer.spent <= 0.5 for answer in found) or name == "2 seeds"


def test_what_a_walk_sees_is_what_a_search_trains() -> None:
    """The benchmark shows the policy every trial at once; a search trains what it asks for."""
    search = draw(World("small", candidates=4, seeds=6), np.random.default_rng(0))
    terms, every = shown(search)
    curves: dict[tuple[str, int], list[float]] = {}
    while asks := adaptive(curves, terms).asks:
        curves |= {(ask.key, ask.seed): list(every[ask.key, ask.seed]) for ask in asks}
    seeds = on_the_way(every, terms, allowance(terms))
    assert {(key, seed) for key, count in seeds.items() for seed in range(count)} == set(curves)


@pytest.mark.parametrize("world", REPORTED, ids=lambda world: world.name)
def test_a_world_is_as_it_is_declared(world: World) -> None:
    rng = np.random.default_rng(1)
    drawn = [draw(world, rng) for _ in range(30)]
    assert {s.losses.shape[:2] for s in drawn} == {(world.candidates + 1, world.seeds)}
    truths = np.array([search.truth for search in drawn])
    if world.truth in ("spread", "even"):
        spread = truths.std(axis=1).mean() / world.noise
        assert spread == pytest.approx(world.spread, rel=0.25)
    if world.truth in ("equal", "spread", "even"):
        noise = np.array([s.losses[:-1, :, -1] - s.truth[:, None] for s in drawn])
        own = noise - noise.mean(axis=(1, 2), keepdims=True)
        assert own.std() / world.noise > 0.8
    if world.half < 0:
        halves = np.array([s.losses[:-1, :, 3].mean(axis=1) for s in drawn])
        rows = zip(halves, truths, strict=True)
        assert np.mean([np.corrcoef(h, t)[0, 1] for h, t in rows]) < -0.2


def test_the_page_is_of_its_figures() -> None:
    world = World("small", candidates=4, seeds=6)
    figures = in_figures(world, answers(world, 4, np.random.default_rng(0)))
    text = page({"small": figures})
    row = next(line for line in text.splitlines() if line.startswith("| small | 4 |"))
    assert f"{figures['default, 50%']['held']:.1%}" in row
    if (RESULTS / "calibration.json").exists():
        kept = json.loads((RESULTS / "calibration.json").read_text())
        assert (RESULTS / "calibration.md").read_text() == page(kept)


def test_what_the_choice_of_examples_does_is_found() -> None:
    rng = np.random.default_rng(3)
    networks, seeds, examples = 12, 6, 400
    shape = (networks, seeds, examples)
    of_seeds = 0.01 * rng.standard_normal((networks, seeds, 1))
    of_examples = rng.standard_normal((1, 1, examples))
    alike = 0.2 * rng.standard_normal((networks, 1, examples))
    losses = of_seeds + of_examples + alike + 0.3 * rng.standard_normal(shape)
    found = choice([*losses])
    assert found.moved == pytest.approx(0.2 / 400**0.5, rel=0.1)
    assert found.noise == pytest.approx((0.01**2 + 0.3**2 / 400) ** 0.5, rel=0.2)


def test_the_world_of_chosen_examples_is_the_most_that_was_measured() -> None:
    most = max(of.moved / of.noise for _, of in studies())
    assert round(most, 2) == WORLDS["chosen as in our studies, one number a trial"].choice
    assert PAGE.read_text() == choice_page()
