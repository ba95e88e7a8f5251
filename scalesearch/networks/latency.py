"""Latency: the measured time of a forward pass in eval mode, with its spread.

Networks are timed by rounds, each network once a round, so that whatever slows the machine for a
while slows all of them; the figures of a round are compared with one another. For every visit the
network is built anew, since where its tensors come to lie moves its time as well.
"""

import gc
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import comb
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from scalesearch.networks.custom import is_table
from scalesearch.networks.device import channels_last, in_place, placed, replayed
from scalesearch.networks.inputs import Flat, batch_of, called, tensors_in
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.told import is_told, told

VISIT = 30.0  # milliseconds that the passes of a visit fill
MOST_PASSES = 11
REPLAYS = 50  # of a visit on a GPU
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Repeats:
    """Repeated measurements of one quantity: their median and the interval of the true one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the median by order statistics, whatever the distribution.

        The narrowest symmetric pair that covers it at CONFIDENCE or more, which takes six values;
        of fewer, the lowest and the highest (David & Nagaraja 2003, Order Statistics, section 7.1).
        """
        ordered, n = sorted(self.values), len(self.values)
        tail, out = 0.0, 0
        for i in range(n // 2):
            tail += comb(n, i) / 2**n
            if 2 * tail > 1 - CONFIDENCE:
                break
            out = i
        return ordered[out], ordered[n - 1 - out]

    def over(self, other: "Repeats") -> "Repeats":
        """The ratios to `other`, each to the one of the same round."""
        return Repeats(tuple(a / b for a, b in zip(self.values, other.values, strict=False)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a latency depends on beside the network.

    In float32; eager on a CPU, and on a GPU the replay of a CUDA graph, with convolutions in TF32
    where torch and the card have them so: its `device` says that.
    """

    device: str
    torch: str
    threads: int
    batch: int


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of each network by round, and under which conditions."""

    conditions: Conditions
    visits: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __getitem__(self, label: str) -> Repeats:
        return Repeats(self.visits[label])


def conditions_of(batch: int, source: str | None) -> Conditions:
    """The conditions of figures by a function or a table, or of this process on cpu or cuda."""
    if source is not None and is_told(source):
        return conditions_told(source, batch)
    return conditions_here(batch, source)


def source_of(conditions: Conditions) -> str:
    """What `conditions_of` takes for such conditions: who tells, or the device here."""
    return conditions.device if is_told(conditions.device) else device_of(conditions)


def conditions_here(batch: int, device: str | None = None) -> Conditions:
    """The conditions of this process on cpu or cuda: unless given, on a GPU if there is one.

    One thread on a CPU.
    """
    if (device or usual_device()) == "cuda":
        return Conditions(card(), torch.__version__, 1, batch)
    return Conditions(f"CPU {processor()}", torch.__version__, 1, batch)


def usual_device() -> str:
    """The device for networks that are timed for no run: a GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_of(conditions: Conditions) -> str:
    """The device that conditions are of: cpu or cuda."""
    return "cpu" if conditions.device.startswith("CPU ") else "cuda"


def card() -> str:
    """The GPU's name, and how a pass is run on it."""
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    tf32 = convolutions.fp32_precision == "tf32" and torch.cuda.get_device_capability() >= (8, 0)
    return f"{torch.cuda.get_device_name()}, CUDA graphs, {'TF32' if tf32 else 'float32'}"


def processor() -> str:
    """The processor's name, or the machine's kind where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named and named[0] else platform.machine()


def timed(timings: Timings, models: Mapping[str, Model], rounds: int) -> Timings:
    """`timings` with at least that many rounds of each of `models`, by label.

    What is there already is not timed again. Every other round goes backwards, so that a drift
    within a round cancels. Raises ValueError where something is to be timed under other
    conditions than the rest.
    """
    found = {label: list(timings.visits.get(label, ())) for label in models}
    lacking = [r for r in range(rounds) if any(len(values) <= r for values in found.values())]
    if not lacking:
        return timings
    source = timings.conditions.device
    if is_told(source):
        fresh = [label for label, values in found.items() if not values]
        costs = told(source, [models[label] for label in fresh], timings.conditions.batch)
        found |= {label: [value] for label, value in zip(fresh, costs, strict=True)}
        # what is told has no spread
        same = {label: values[:1] * max(rounds, len(values)) for label, values in found.items()}
        return with_visits(timings, same)
    refuse_elsewhere(timings.conditions)
    device = device_of(timings.conditions)
    with quiet():
        for r in lacking:
            turn = [label for label, values in found.items() if len(values) == r]
            for label in turn if r % 2 == 0 else reversed(turn):
                found[label].append(visit(models[label], timings.conditions.batch, device))
    return with_visits(timings, found)


def with_visits(timings: Timings, found: Mapping[str, Sequence[float]]) -> Timings:
    """The timings with those values in place of their own."""
    merged = {label: tuple(values) for label, values in found.items()}
    return replace(timings, visits={**timings.visits, **merged})


def conditions_told(source: str, batch: int) -> Conditions:
    """The conditions of figures that a function or a table tells in place of a timing here."""
    return Conditions(source, torch.__version__, 1, batch)


def refuse_elsewhere(was: Conditions) -> None:
    """Raise ValueError where networks that are scaled up cannot be measured under those conditions:
    a table has those of a plan alone, and this process may time under others."""
    if is_table(was.device):
        raise ValueError(
            f"what networks cost once they are scaled up must be told by a function, got a table, "
            f"{was.device}, which has those of a plan: scale by another budget"
        )
    if is_told(was.device):
        return
    here = conditions_here(was.batch, device_of(was) if torch.cuda.is_available() else "cpu")
    if here != was:
        raise ValueError(
            f"latencies must be compared on one device: these are of {was.device}, torch "
            f"{was.torch}, and this is {here.device}, torch {here.torch}"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """One thread and no garbage collection, for as long as networks are timed."""
    threads, collects = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if collects:
            gc.enable()


def visit(model: Model, batch: int, device: str = "cpu") -> float:
    """Milliseconds of a forward pass of `batch` images, the median of several after a first.

    Raises ValueError where memory does not hold so many.
    """
    try:
        return median_pass(model, batch, device)
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise ValueError(
            f"a latency must be of a batch that fits into memory, got {batch}: {said}"
        ) from error


def median_pass(model: Model, batch: int, device: str) -> float:
    """What `visit` returns; raises what torch does."""
    where = torch.device(device)
    network = placed(build_model(model).eval(), where)
    images = batch_of(model, batch, torch.randn)
    with torch.no_grad():  # not inference mode, whose tensors a cache may hand to a trial
        if where.type == "cuda":
            tensors = [tensor.to(where) for tensor in tensors_in(images)]
            laid = [channels_last(tensor) if tensor.ndim == 4 else tensor for tensor in tensors]
            return pass_on_gpu(Flat(network, images), *laid)
        first = pass_on_cpu(network, images)
        passes = min(MOST_PASSES, math.ceil(VISIT / first))
        return median(pass_on_cpu(network, images) for _ in range(passes))


def pass_on_cpu(network: nn.Module, images: Any) -> float:
    """Milliseconds of one forward pass on the CPU."""
    started = time.perf_counter()
    called(network, images)
    return 1000 * (time.perf_counter() - started)


def pass_on_gpu(network: nn.Module, *images: Tensor) -> float:
    """Milliseconds of a forward pass on the GPU: the median of REPLAYS of its CUDA graph.

    One follows the other, with an event between, so that launching them is not timed.
    """
    run = replayed(network, images, in_place)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(REPLAYS + 1)]
    run(*images)
    events[0].record()
    for event in events[1:]:
        run(*images)
        event.record()
    torch.cuda.synchronize()
    return float(median(a.elapsed_time(b) for a, b in pairwise(events)))
