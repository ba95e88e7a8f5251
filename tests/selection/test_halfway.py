"""What half-trained trials foretell: a line through those that went on, with its error."""

import numpy as np
import pytest

from scalesearch.selection.halfway import foretold

EPOCHS = 4


def curves(
    half: dict[str, float], final: dict[str, float], seeds: int = 3, noise: float = 0.0
) -> dict[tuple[str, int], list[float]]:
    """Learning curves with those losses after two epochs and after four; a seed shifts all."""
    rng = np.random.default_rng(0)
    found = {}
    for seed in range(seeds):
        for key, loss in half.items():
            ends = [] if key not in final else [0.0, final[key] + rng.normal(0, noise)]
            found[key, seed] = [1.0, loss + 0.1 * seed + rng.normal(0, noise), *ends]
    return found


def test_a_loss_is_read_off_the_line() -> None:
    half = {f"n{i}": 0.6 + 0.02 * i for i in range(6)}
    final = {key: 0.3 + 0.5 * loss for key, loss in list(half.items())[:5]}
    means, variances = foretold(curves(half, final), [*half], {}, EPOCHS)
    assert np.isnan(means[:5]).all(), "those with a whole trial speak for themselves"
    assert means[5] == pytest.approx(0.3 + 0.5 * half["n5"], abs=1e-6)
    assert variances[5] == pytest.approx(0, abs=1e-6)


def test_depth_is_in_the_line_where_there_are_enough() -> None:
    rng = np.random.default_rng(1)
    half = {f"n{i}": float(loss) for i, loss in enumerate(rng.normal(0.6, 0.02, 9))}
    depths = {key: float(i % 4) for i, key in enumerate(half)}
    final = {key: 0.2 + 0.5 * half[key] - 0.03 * depths[key] for key in list(half)[:8]}
    means, _ = foretold(curves(half, final), [*half], depths, EPOCHS)
    assert means[8] == pytest.approx(0.2 + 0.5 * half["n8"] - 0.03 * depths["n8"], abs=1e-6)


def test_the_line_is_as_uncertain_as_it_is_wrong() -> None:
    rng = np.random.default_rng(2)
    missed = []
    for _ in range(200):
        half = {f"n{i}": float(x) for i, x in enumerate(rng.normal(0.6, 0.02, 9))}
        true = {key: 0.3 + 0.5 * loss + rng.normal(0, 0.01) for key, loss in half.items()}
        final = {key: true[key] for key in list(half)[:8]}
        (*_, mean), (*_, variance) = foretold(curves(half, final), [*half], {}, EPOCHS)
        missed.append((mean - true["n8"]) / np.sqrt(variance))
    assert 0.7 < np.std(missed) < 1.1


def test_few_whole_trials_foretell_nothing() -> None:
    half = {f"n{i}": 0.6 + 0.02 * i for i in range(4)}
    final = {key: 0.5 for key in list(half)[:3]}
    assert np.isnan(foretold(curves(half, final), [*half], {}, EPOCHS)[0]).all()
    assert np.isnan(foretold({}, ["a"], {}, EPOCHS)[0]).all()
