"""What a run is expected to take, against what a run took."""

from pathlib import Path

import pytest

from scalesearch.search.estimate import NOISE, expected_asks, levels
from scalesearch.selection.policy import POLICIES, Terms, grid, rungs
from scalesearch.spaces.files import load_space
from scalesearch.studies import read_curves, read_trials

REFERENCE = Path(__file__).parents[2] / "results/reference"


@pytest.mark.parametrize("name", ["efficientnet", "mobilenet_v2", "resnet"])
def test_a_search_takes_about_what_was_expected_of_it(name: str) -> None:
    """The default policy, played with the losses of a committed study, as its driver asked it."""
    folder = REFERENCE / f"{name}-fashion-mnist-2x"
    table = read_curves(folder).groupby(["candidate", "seed"])["loss"]
    known = {(str(key), int(seed)): losses.tolist() for (key, seed), losses in table}
    networks = list(dict.fromkeys(read_trials(folder)["candidate"]))
    (proxy,) = load_space(str(folder / "space.yaml")).proxies.values()
    terms = Terms(tuple(networks[1:]), networks[0], proxy.seeds, proxy.recipe.epochs)
    curves: dict[tuple[str, int], list[float]] = {}
    counts, expected, begun = [], [], 0
    while asks := rungs(curves, terms).asks:
        work = expected_asks(rungs, curves, terms)
        assert [(w.network, w.epochs) for w in work[: len(asks)]] == [
            (ask.key, ask.epochs - len(curves.get((ask.key, ask.seed), ()))) for ask in asks
        ], "what comes next is known"
        expected.append(begun + len(work))
        for ask in asks:
            curves[ask.key, ask.seed] = known[ask.key, ask.seed][: ask.epochs]
        begun += len(asks)
        counts.append(begun)
    assert len(counts) > 1
    assert expected == pytest.approx([begun] * len(counts), rel=0.15), name


def test_of_a_grid_every_trial_is_expected() -> None:
    terms = Terms(("a", "b"), "1x", 3, 4, frozenset({("b", 2)}))
    curves = {("a", 0): [0.5] * 4, ("1x", 1): [0.7]}
    work = expected_asks(grid, curves, terms)
    assert len(work) == 3 * 3 - 2
    assert sum(part.epochs for part in work) == 4 * 8 - 4 - 1
    assert set(POLICIES) == {"rungs", "grid"} and 0 < NOISE < 0.1


def test_a_networks_level_is_that_of_its_last_epoch() -> None:
    curves = {("a", 0): [0.9, 0.5], ("a", 1): [0.8, 0.3], ("a", 2): [0.1], ("b", 0): [0.7]}
    assert levels(curves) == {"a": pytest.approx(0.4), "b": pytest.approx(0.7)}
