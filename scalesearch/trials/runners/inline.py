"""The inline runner: one trial after the other in this process, for debugging and without Ray."""

from scalesearch.trials.runners.ask_tell import AskTell, Failure, advance
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import run_trial, versions


def run_inline(driver: AskTell) -> None:
    """Run every trial that the driver has; one that raises is recorded and the rest go on."""
    while (trial := driver.ask()) is not None:
        epochs = run_trial(trial)
        curve: list[Metrics] = []
        stop = False
        while not stop and isinstance(step := advance(epochs), Metrics):
            stop = driver.report(trial, step)
            curve.append(step)
        if isinstance(step, Failure):
            driver.fail(trial, step.message)
        elif curve[-1].epoch == trial.recipe.epochs:
            driver.complete(trial, curve, versions())
        else:
            driver.stopped(trial, curve, versions())
