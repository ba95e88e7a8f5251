"""TensorBoard files, one directory a trial, written while trials run."""

from pathlib import Path

from scalesearch.search.events import Epoch, Event, Listener
from scalesearch.spaces.metric import LOSS, Metric


def board(folder: Path, metric: Metric = LOSS) -> Listener:
    """A listener that writes every epoch's metrics under `folder`, or a study's own metric."""

    from tensorboardX import SummaryWriter  # slow to import, and asked for by few

    def hear(event: Event) -> None:
        if not isinstance(event, Epoch):
            return
        metrics, place = event.metrics, str(folder / event.trial.key.stem)
        # opened for each epoch, for thousands of trials may run at once; and named by it, for files
        # of the same second have the same name
        with SummaryWriter(place, filename_suffix=f".{metrics.epoch:05}") as writer:
            if metrics.accuracy is None or metrics.train_loss is None:
                writer.add_scalar(metric.name, metric.value(metrics.loss), metrics.epoch)
            else:
                writer.add_scalar("loss/validation", metrics.loss, metrics.epoch)
                writer.add_scalar("loss/training", metrics.train_loss, metrics.epoch)
                writer.add_scalar("accuracy/validation", metrics.accuracy, metrics.epoch)
            writer.add_scalar("seconds", metrics.seconds, metrics.epoch)

    return hear
