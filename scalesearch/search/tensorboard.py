"""TensorBoard files, one directory a trial, written while trials run."""

from pathlib import Path

from tensorboardX import SummaryWriter

from scalesearch.search.events import Epoch, Event, Listener


def board(folder: Path) -> Listener:
    """A listener that writes every epoch's metrics under `folder`."""

    def hear(event: Event) -> None:
        if not isinstance(event, Epoch):
            return
        metrics, place = event.metrics, str(folder / event.trial.key.stem)
        # opened for each epoch, for thousands of trials may run at once; and named by it, for files
        # of the same second have the same name
        with SummaryWriter(place, filename_suffix=f".{metrics.epoch:05}") as writer:
            writer.add_scalar("loss/validation", metrics.loss, metrics.epoch)
            writer.add_scalar("loss/training", metrics.train_loss, metrics.epoch)
            writer.add_scalar("accuracy/validation", metrics.accuracy, metrics.epoch)
            writer.add_scalar("seconds", metrics.seconds, metrics.epoch)

    return hear
