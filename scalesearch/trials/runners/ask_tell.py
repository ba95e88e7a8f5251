"""What every runner is given: where trials come from and where their metrics go."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scalesearch.networks.device import breaks_device, out_of_memory
from scalesearch.trials.guarded import TooMuchMemory
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial

DIED = (
    "%s of %s-seed%d died, killed or for lack of memory (fewer workers need less): its trial is "
    "handed on"
)


@dataclass(frozen=True, slots=True)
class AskTell:
    """How a runner asks for trials and tells what became of them: plain callables.

    They are called in the driver's process only. `ask` gives the next trial, None where there is
    none now. `report` tells of an epoch and says whether the trial is to stop there; then, or where
    the trial pauses, `stopped` is told of it. The other ends are `complete`, `fail` with why, and
    `lost` for a trial whose worker died, which `ask` may give again.
    """

    ask: Callable[[], Trial | None]
    report: Callable[[Trial, Metrics], bool]
    stopped: Callable[[Trial, list[Metrics], dict[str, str]], None]
    complete: Callable[[Trial, list[Metrics], dict[str, str]], None]
    fail: Callable[[Trial, str], None]
    lost: Callable[[Trial], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial raised, in one line; whether it was for want of the device's memory; whether its
    process can use the device no more, or may hold memory that the trial took.
    """

    message: str
    out_of_memory: bool = False
    breaks_device: bool = False
    holds_memory: bool = False

    @property
    def ends_worker(self) -> bool:
        """Whether another trial must have another process."""
        return self.breaks_device or self.holds_memory


def advance(epochs: Iterator[Metrics | Failure]) -> Metrics | Failure | None:
    """The next epoch's metrics, the failure that it met, or None where there is no other."""
    try:
        return next(epochs, None)
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        holds = isinstance(error, TooMuchMemory)
        return Failure(message, out_of_memory(error), breaks_device(error), holds)
