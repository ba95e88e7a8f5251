"""One network trained by several processes of this machine, which the runner's process starts.

They end with the trial, and with the process that started them. Where one of them dies the others
are ended too, and the trial is lost, as it is with a worker that dies.
"""

import os
import signal
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch.distributed as dist

from scalesearch.scratch import scratch
from scalesearch.trials.runners.ask_tell import Failure, advance
from scalesearch.trials.team import Team
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial, decoded, run_trial

SPAWN = get_context("spawn")
GO_ON = "go on"
GRACE = 5.0  # seconds for which a failure may be that of a process that loses another


def run_together(
    trial: Trial, read: Reader = decoded, size: int = 1
) -> Iterator[Metrics | Failure]:
    """Metrics after each epoch of a trial that `size` processes train together, or their failure.

    They come to an early end where a process dies. This process alone runs a user's own training,
    which is given all the trial's devices, and looks at what has been trained.
    """
    if size == 1 or trial.custom is not None or trial.trained is not None:
        yield from run_trial(trial, read)
        return
    with scratch() as folder, ExitStack() as at_end:
        processes = {}
        for rank in range(size):
            here, there = SPAWN.Pipe()
            wanted = (trial, read, Team(rank, size), folder, there)
            process = SPAWN.Process(target=work, args=wanted, daemon=True)
            process.start()
            at_end.callback(end, process)
            there.close()
            processes[here] = process
        yield from told(processes)


def end(process: SpawnProcess) -> None:
    """End a process, wherever it is."""
    process.kill()
    process.join()


def told(processes: dict[Connection, SpawnProcess]) -> Iterator[Metrics | Failure]:
    """What processes tell until all have come to their end, or one of them fails or dies.

    One that has told of an epoch goes on to the next when that is asked for.
    """
    while processes:
        for connection in wait([*processes]):
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):  # it has ended, or was killed while it told something
                process = processes.pop(connection)
                process.join()
                if process.exitcode != 0:
                    return
                continue
            if isinstance(message, Failure) and one_dies(processes.values()):
                return
            yield message
            if isinstance(message, Failure):
                return
            with suppress(OSError):  # it has died since
                connection.send(GO_ON)


def one_dies(processes: Collection[SpawnProcess]) -> bool:
    """Whether a process dies beside one that failed, which then failed for want of it.

    One that fails by itself waits to be ended, so that no other fails for want of it.
    """
    ended = wait([process.sentinel for process in processes], GRACE)
    for process in processes:
        if process.sentinel in ended:
            process.join()  # its sentinel may tell before the system does
    return any(process.exitcode for process in processes)


def work(trial: Trial, read: Reader, team: Team, folder: Path, connection: Connection) -> None:
    """What each process does: train its share of every batch, and tell of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when its trials end
    threading.Thread(target=end_with_parent, daemon=True).start()
    epochs = met(trial, read, team, folder)
    while step := advance(epochs):
        connection.send(step)
        if isinstance(step, Failure) or step.epoch < trial.last:
            connection.recv()
    dist.destroy_process_group()


def end_with_parent() -> None:
    """End this process where that which started it has ended, by whatever signal."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def met(trial: Trial, read: Reader, team: Team, folder: Path) -> Iterator[Metrics]:
    """The epochs of a trial, once all processes are there."""
    team.meet(trial.device, folder)
    yield from run_trial(trial, read, team)
