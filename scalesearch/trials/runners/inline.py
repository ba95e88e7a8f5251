"""The inline runner: one trial after the other in this process, for debugging and without Ray."""

import logging
from dataclasses import replace

from scalesearch.trials.runners.ask_tell import DIED, AskTell, Failure, advance
from scalesearch.trials.runners.together import run_together
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import versions

log = logging.getLogger(__name__)


def run_inline(driver: AskTell, device: str = "cpu", processes: int = 1) -> None:
    """Run every trial that the driver has on `device`, cpu or cuda, by so many processes together.

    One that raises is recorded and the rest go on. Raises ValueError where this process can use its
    GPU no more.
    """
    while (trial := driver.ask()) is not None:
        epochs = run_together(replace(trial, device=device), size=processes)
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
        elif not stop and (not curve or curve[-1].epoch < trial.last):
            log.warning(DIED, "a process", trial.arch.key, trial.seed)
            driver.lost(trial)
        elif curve[-1].epoch == trial.recipe.epochs:
            driver.complete(trial, curve, versions(device))
        else:
            driver.stopped(trial, curve, versions(device))
