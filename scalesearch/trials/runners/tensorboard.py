"""TensorBoard files, one directory a trial, written while trials run."""

from dataclasses import replace
from pathlib import Path

from tensorboardX import SummaryWriter

from scalesearch.trials.runners import Desk
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial


def boarded(desk: Desk, folder: Path) -> Desk:
    """The desk, with every epoch's metrics written under `folder` too."""

    def report(trial: Trial, metrics: Metrics) -> bool:
        place = str(folder / trial.key.stem)
        # opened for each epoch, for thousands of trials may run at once; and named by it, for files
        # of the same second have the same name
        with SummaryWriter(place, filename_suffix=f".{metrics.epoch:05}") as writer:
            writer.add_scalar("loss/validation", metrics.loss, metrics.epoch)
            writer.add_scalar("loss/training", metrics.train_loss, metrics.epoch)
            writer.add_scalar("accuracy/validation", metrics.accuracy, metrics.epoch)
            writer.add_scalar("seconds", metrics.seconds, metrics.epoch)
        return desk.report(trial, metrics)

    return replace(desk, report=report)
