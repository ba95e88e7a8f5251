"""The inline runner: one trial after the other in this process, for debugging and without Ray."""

from dataclasses import replace

from scalesearch.trials.runners.ask_tell import AskTell, Failure, advance
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import run_trial, versions


def run_inline(driver: AskTell, device: str = "cpu") -> None:
    """Run every trial that the driver has on `device`, cpu or cuda.

    One that raises is recorded and the rest go on. Raises ValueError where this process can use its
    GPU no more.
    """
    while (trial := driver.ask()) is not None:
        epochs = run_trial(replace(trial, device=device))
        curve: list[Metrics] = []
        stop = False
        while not stop and isinstance(step := advance(epochs), Metrics):
            stop = driver.report(trial, step)
            curve.append(step)
        if isinstance(step, Failure):
            driver.fail(trial, step.message)
            if step.breaks_device:
                raise ValueError(
                    "a process must be able to use its GPU after a trial that failed, got "
                    f"{step.message}: type the same command again, which goes on from here"
                )
        elif curve[-1].epoch == trial.recipe.epochs:
            driver.complete(trial, curve, versions(device))
        else:
            driver.stopped(trial, curve, versions(device))
