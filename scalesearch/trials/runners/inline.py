"""The inline runner: one trial after the other in this process, for debugging and without Ray."""

from scalesearch.trials.runners.desk import Desk, Failure, advance
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import run_trial, versions


def run_inline(desk: Desk) -> None:
    """Run every trial that the desk has; one that raises is recorded and the rest go on."""
    while (trial := desk.ask()) is not None:
        epochs = run_trial(trial)
        curve: list[Metrics] = []
        stop = False
        while not stop and isinstance(step := advance(epochs), Metrics):
            stop = desk.report(trial, step)
            curve.append(step)
        if isinstance(step, Failure):
            desk.fail(trial, step.message)
        elif curve[-1].epoch == trial.recipe.epochs:
            desk.complete(trial, curve, versions())
        else:
            desk.stopped(trial, curve, versions())
