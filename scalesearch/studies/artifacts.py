"""What a study keeps in files beside its journal: losses of examples, checkpoints."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.files import check_regular, write_bytes
from scalesearch.trials.key import TrialKey
from scalesearch.trials.trial import Trial

LOSSES = "losses"
WEIGHTS = "weights"
CHECKPOINTS = "checkpoints"


def losses_path(folder: Path, key: TrialKey) -> Path:
    """Where the losses of a trial's held-out examples are."""
    return folder / LOSSES / f"{key.stem}.npy"


def read_losses(folder: Path, key: TrialKey) -> NDArray[np.float32]:
    """The losses of a trial's held-out examples, in the data's order."""
    path = losses_path(folder, key)
    check_regular(path)
    losses: NDArray[np.float32] = np.load(path, allow_pickle=False)
    return losses


def write_losses(folder: Path, trial: Trial, losses: NDArray[np.float32]) -> None:
    """Write the losses of a trial's held-out examples, whole or not at all."""
    file = io.BytesIO()
    np.save(file, losses.astype(np.float32), allow_pickle=False)
    write_bytes(losses_path(folder, trial.key), file.getvalue(), synced=True)


def weights_path(folder: Path, name: str, seed: int) -> Path:
    """Where the weights of a trained network are, by its name and seed."""
    return folder / WEIGHTS / f"{name}-seed{seed}.safetensors"


def write_weights(folder: Path, trial: Trial, weights: bytes) -> None:
    """Write the weights that a trial ended with, whole or not at all."""
    write_bytes(weights_path(folder, trial.keep, trial.seed), weights, synced=True)


def end_path(folder: Path, key: TrialKey) -> Path:
    """Where the weights that a trial ended with wait for a look at the test split."""
    return folder / CHECKPOINTS / f"{key.stem}-end.safetensors"


def write_end(folder: Path, key: TrialKey, weights: bytes) -> None:
    """Leave the weights that a trial ended with, whole or not at all."""
    write_bytes(end_path(folder, key), weights, synced=True)


def clear_ends(folder: Path) -> None:
    """Remove the weights that wait for a look which is over."""
    for path in (folder / CHECKPOINTS).glob("*-end.safetensors"):
        path.unlink()


def checkpoint_path(folder: Path, key: TrialKey) -> Path:
    """Where a trial that is not at its end yet keeps what it goes on from."""
    return folder / CHECKPOINTS / f"{key.stem}.pt"


def read_checkpoint(folder: Path, key: TrialKey) -> bytes | None:
    """The bytes of a trial's checkpoint, None where it has none."""
    path = checkpoint_path(folder, key)
    return path.read_bytes() if path.exists() else None
