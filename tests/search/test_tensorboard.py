"""TensorBoard files: what TensorBoard reads of a trial, read back from the disk."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from scalesearch.search.events import Epoch
from scalesearch.search.tensorboard import board
from scalesearch.testing.runners import SOUND, Notes
from scalesearch.trials.runners.inline import run_inline


def scalars(path: Path) -> dict[tuple[str, int], float]:
    """Values by tag and step, of a file of records: length, its checksum, an event, a checksum."""
    content, found, at = path.read_bytes(), {}, 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        event = Event.FromString(content[at + 12 : at + 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        at += 12 + length + 4
    return found


def test_every_epoch_of_a_trial_is_written(tmp_path: Path) -> None:
    notes = Notes(SOUND[:1])
    run_inline(notes.driver())
    listen = board(tmp_path)
    for metrics in notes.completed[0]:
        listen(Epoch(SOUND[0], metrics))
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"{SOUND[0].arch.key}-0-val"
    found: dict[tuple[str, int], float] = {}
    for path in folder.iterdir():
        found |= scalars(path)
    for metrics in notes.completed[0]:
        wanted = {
            "loss/validation": metrics.loss,
            "loss/training": metrics.train_loss,
            "accuracy/validation": metrics.accuracy,
        }
        for tag, value in wanted.items():
            assert found[tag, metrics.epoch] == struct.unpack("f", struct.pack("f", value))[0]
