"""What a run is expected to take, against what a run took."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scalesearch.search import estimate as estimates
from scalesearch.search.estimate import (
    NOISE,
    RAY_START,
    estimate,
    expected_rounds,
    levels,
    parts,
)
from scalesearch.search.options import RunOptions
from scalesearch.selection.adaptive import adaptive
from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import POLICIES, grid
from scalesearch.selection.replay import read_table
from scalesearch.selection.terms import Terms
from scalesearch.spaces.files import load_space
from scalesearch.studies import read_curves, read_trials
from scalesearch.studies.setup import prepare
from scalesearch.trials.pace import Pace

RESULTS = Path(__file__).parents[2] / "results"


def study(name: str) -> tuple[Curves, Terms]:
    """Every loss of a committed study of whole trials, and the terms that it had."""
    folder = RESULTS / "reference" / f"{name}-fashion-mnist-2x"
    table = read_curves(folder).groupby(["candidate", "seed"])["loss"]
    known = {(str(key), int(seed)): losses.tolist() for (key, seed), losses in table}
    networks = list(dict.fromkeys(read_trials(folder)["candidate"]))
    (proxy,) = load_space(str(folder / "space.yaml")).proxies.values()
    return known, Terms(tuple(networks[1:]), networks[0], proxy.seeds, proxy.recipe.epochs)


def lattice() -> tuple[Curves, Terms]:
    """Every loss of the tabular benchmark."""
    table = read_table(RESULTS / "lattice-fashion-mnist")
    _, seeds, epochs = table.losses.shape
    known = {
        (key, seed): losses[seed].tolist()
        for key, losses in zip(table.keys, table.losses, strict=True)
        for seed in range(seeds)
    }
    return known, Terms(table.keys[:-1], table.keys[-1], seeds, epochs)


@pytest.mark.parametrize("name", ["lattice", "mobilenet_v2", "resnet"])
def test_a_search_takes_about_what_was_expected_of_it(name: str) -> None:
    """The default policy, played with measured losses, as its driver asked it."""
    known, terms = lattice() if name == "lattice" else study(name)
    curves: dict[tuple[str, int], list[float]] = {}
    counts, expected, begun = [], [], 0
    while asks := adaptive(curves, terms).asks:
        work = parts(expected_rounds(adaptive, curves, terms))
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
    work = parts(expected_rounds(grid, curves, terms))
    assert len(work) == 3 * 3 - 2
    assert sum(part.epochs for part in work) == 4 * 8 - 4 - 1
    assert set(POLICIES) == {"adaptive", "grid"} and 0 < NOISE < 0.1


def test_a_networks_level_is_that_of_its_last_epoch() -> None:
    curves = {("a", 0): [0.9, 0.5], ("a", 1): [0.8, 0.3], ("a", 2): [0.1], ("b", 0): [0.7]}
    assert levels(curves) == {"a": pytest.approx(0.4), "b": pytest.approx(0.7)}


def test_an_estimate_counts_cards_over_shares(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, str]] = []

    def paced(models: object, batch_size: int, workers: int, device: str) -> Pace:
        seen.append((workers, device))
        return Pace(1e-4, 0.0, 0.0)

    monkeypatch.setattr(estimates, "recent_pace", paced)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    search = prepare(load_space(str(tiny)), "quick", None, None, None, None, tmp_path, None)
    options = RunOptions(workers=64, gpus_per_trial=0.25)
    shared = estimate(search, options)
    alone = estimate(search, replace(options, gpus_per_trial=2))
    assert (shared.workers, alone.workers) == (8, 1)
    one, eight = (found.expected_seconds - RAY_START for found in (alone, shared))
    assert one / 8 < eight < one, "eight workers wait for the end of a round, and one never"
    assert "with 8 workers, 0.25 of a GPU each; steps were timed on this machine's CPU" in (
        shared.text
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert estimate(search, options).text.endswith("0.25 of a GPU each")
    assert "GPU" not in estimate(search, replace(options, gpus_per_trial=0.0)).text
    assert seen == [(8, "cpu"), (1, "cpu"), (8, "cuda"), (64, "cpu")]
