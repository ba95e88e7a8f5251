"""Learning curves as the matrix of losses that the selection and the policies compare."""

import numpy as np

from scalesearch.selection.losses import curves_of, end_losses, loss_matrix, losses_after
from scalesearch.trials.curve import read_curve
from scalesearch.trials.key import TrialKey


def test_losses_of_one_epoch_are_a_matrix_of_networks_by_seeds() -> None:
    rows = [
        {"epoch": e, "loss": 1 / e, "accuracy": 0.5, "train_loss": 2.0, "seconds": 3.0 * e}
        for e in (1, 2, 4)
    ]
    history = {TrialKey("a", 0, "val"): rows, TrialKey("b", 1, "val"): rows[:2]}
    curves = curves_of({key: read_curve(of) for key, of in history.items()})
    assert curves == {("a", 0): [1.0, 0.5, 0.25], ("b", 1): [1.0, 0.5]}
    nan = np.nan
    for epoch, wanted in ((2, [[nan, 0.5], [0.5, nan]]), (3, [[nan, nan], [0.25, nan]])):
        found = loss_matrix(losses_after(curves, epoch), ["b", "a"], range(2))
        assert np.array_equal(found, wanted, equal_nan=True)
    assert loss_matrix({}, [], range(2)).shape == (0, 2)


def test_the_loss_of_a_trial_is_the_mean_of_its_examples_in_double_precision() -> None:
    examples = np.array([0.1, 0.2, 0.7], np.float32)
    found = end_losses({"a": {3: examples}})
    assert found == {("a", 3): sum(map(float, examples)) / 3}
