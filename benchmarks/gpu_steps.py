"""Steps on one GPU: ours against torchvision's model; a part of benchmarks/gpu.py."""

import math
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE, Popen
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalesearch.data import DataSet, Images
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import build_network
from scalesearch.networks.cost import cost
from scalesearch.networks.device import capture_on, captured, channels_last, placed
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials.step import make_optimizer, make_step

PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # bfloat16, dense, by NVIDIA's sheets
CUDA = torch.device("cuda")
PEERS = find_spec("torchvision") is not None
ROUNDS, ROUND_SECONDS = 5, 0.3
PART_SECONDS = 500  # no further case is begun after them
SLOWEST, LEAST_RATIO = 3.0, 1.5  # ms; of the best peer's time
OURS, RIVALS = ("ours", "eager", "contiguous"), ("fused", "compiled", "captured")

Run = Callable[[], Tensor]  # a step


@dataclass(frozen=True, slots=True)
class Case:
    """A network and what it is trained on: 32 px unless it is a whole one."""

    name: str
    width: float = 0.25
    pixels: int = 32
    channels: int = 3
    batch: int = 128

    def __str__(self) -> str:
        colours = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.name} x{self.width:g}, {self.pixels} px, {colours}, batch {self.batch}"


CASES = [
    Case("efficientnet_b0"),
    Case("efficientnet_b0", channels=1),
    Case("mobilenet_v2"),
    Case("resnet18", channels=1),
    *(Case("efficientnet_b0", channels=c, batch=n) for n in (512, 1024) for c in (3, 1)),
    Case("efficientnet_b0", 1.0, 224),
]


def arch_of(case: Case) -> Arch:
    """The zoo's model with its widths multiplied, for ten classes."""
    arch = zoo.find(case.name)
    if case.width != 1:
        arch = replace(arch, rules=replace(arch.rules, divisor=1))
    arch = replace(arch, dropout=0.0, stochastic_depth=0.0)
    arch = scale_arch(arch, Scale(width=case.width, resolution=case.pixels / arch.resolution))
    return replace(arch, channels=case.channels, classes=10)


def random_data(pixels: int, channels: int, train: int, val: int) -> DataSet:
    """Random images: what they show does not change the time."""
    generator = torch.Generator().manual_seed(0)

    def images(n: int) -> Images:
        shape = (n, channels, pixels, pixels)
        x = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
        return Images(x, torch.randint(10, (n,), generator=generator))

    grey = (0.5,) * channels
    return DataSet("random", images(train), images(val), None, tuple("0123456789"), grey, grey)


def on_card(data: DataSet) -> DataSet:
    """The data set on the GPU."""
    return replace(data, train=data.train.to(CUDA), val=data.val.to(CUDA))


def our_step(case: Case, data: DataSet, graph: bool = True, last: bool = True) -> Run:
    """A step of ours on one batch; eager where `graph` is not, contiguous where `last` is not."""
    network = build_network(arch_of(case)).train()
    network = placed(network, CUDA) if last else network.to(CUDA)
    recipe = Recipe(batch_size=case.batch)
    optimizer = make_optimizer(network, recipe, CUDA)
    capture = capture_on(CUDA) if graph else None
    step = make_step(network, optimizer, data, data.train, recipe, capture)
    batch = torch.randperm(len(data.train))[: case.batch].to(CUDA)
    flipped = torch.zeros(case.batch, dtype=torch.bool, device=CUDA)

    def run() -> Tensor:
        if last:
            return step(batch, flipped, 1e-3)
        with patch("scalesearch.trials.step.channels_last", Tensor.contiguous):
            return step(batch, flipped, 1e-3)

    return run


def peer_step(case: Case, data: DataSet, kind: str) -> Run:
    """A step of torchvision's model on one batch: fused, compiled or captured."""
    from benchmarks.peers.torchvision_step import build  # torchvision is not ours to need

    network = build(case.name, case.width)
    if case.channels != 3:
        recolour(network, case.channels)
    network = network.to(CUDA, memory_format=torch.channels_last).train()
    forward = torch.compile(network, mode="reduce-overhead") if kind == "compiled" else network
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=1e-3, fused=True, capturable=kind == "captured"
    )
    batch = torch.randperm(len(data.train))[: case.batch].to(CUDA)

    def compute(indices: Tensor) -> Tensor:
        x = channels_last((data.train.pixels[indices] / 255 - 0.5) / 0.5)
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=kind != "captured"):
            loss = F.cross_entropy(forward(x), data.train.labels[indices])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if kind == "captured":
        again = captured(compute, (batch,))
        return lambda: again(batch)
    return lambda: compute(batch)


def recolour(network: nn.Module, channels: int) -> None:
    """Have the first convolution take so many channels."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    parent, _, child = name.rpartition(".")
    square = (first.kernel_size[0], first.stride[0], int(first.padding[0]))
    other = nn.Conv2d(channels, first.out_channels, *square, bias=first.bias is not None)
    setattr(network.get_submodule(parent), child, other)


def seconds(run: Callable[[], object]) -> float:
    """Seconds of a call, the GPU's work included."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def set_up(make: Callable[[], Run]) -> tuple[Run, float]:
    """A step made ready, and the seconds from nothing to the end of the first."""
    found: list[Run] = []

    def whole() -> None:
        found.append(make())
        found[0]()

    taken = seconds(whole)
    return found[0], taken


def work(case: Case, kind: str) -> None:
    """What a process of its own does: a line on stdout for each on stdin. First the seconds of the
    set-up, then of so many steps."""
    data = on_card(random_data(case.pixels, case.channels, 2 * case.batch, case.batch))
    made: dict[str, Callable[[], Run]] = {
        "ours": lambda: our_step(case, data),
        "eager": lambda: our_step(case, data, graph=False),
        "contiguous": lambda: our_step(case, data, last=False),
    }
    sys.stdin.readline()
    run, taken = set_up(made.get(kind) or (lambda: peer_step(case, data, kind)))
    print(taken, flush=True)
    for line in sys.stdin:
        print(seconds(lambda n=int(line): [run() for _ in range(n)]), flush=True)  # type: ignore[misc]


def start(case: Case, kind: str, folder: Path) -> Popen[str]:
    """A step in a process of its own, so that one that fails takes no other along."""
    line = [sys.executable, "-m", "benchmarks.gpu_steps", str(CASES.index(case)), kind]
    with (folder / kind).open("wb") as errors:
        return Popen(line, text=True, stdin=PIPE, stdout=PIPE, stderr=errors)


def told(process: Popen[str], line: str) -> float | None:
    """The seconds that it answers to that line; None where it has failed."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    answer = process.stdout.readline()
    return float(answer) if answer else None


def failure(process: Popen[str], said: Path) -> str:
    """The error with which a process ends, "" where it has none."""
    process.communicate()
    errors = re.findall(r"(?m)^\S*Error: .*$", said.read_text(errors="replace"))
    return (errors or ["it died"])[-1] if process.returncode else ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A row of the table, milliseconds of our step, its ratio to the best peer, what failed."""

    row: str
    ms: float
    ratio: float
    failed: tuple[str, ...]


def in_turns(peers: dict[str, Popen[str]]) -> dict[str, list[float]]:
    """Milliseconds of a step in each round; fewer of one that fails."""
    once = {kind: told(peer, "1") for kind, peer in peers.items()}
    counts = {kind: max(3, int(ROUND_SECONDS / taken)) for kind, taken in once.items() if taken}
    times: dict[str, list[float]] = {kind: [] for kind in counts}
    for _ in range(ROUNDS):
        for kind, count in counts.items():
            if taken := told(peers[kind], str(count)):
                times[kind].append(1000 * taken / count)
    return times


def compare(case: Case) -> Compared:
    """Our step and its peers, turn and turn about; of one that failed or is not there nan."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder)
        peers = {kind: start(case, kind, said) for kind in (*OURS, *(RIVALS if PEERS else ()))}
        ready = {kind: told(peer, "set up") for kind, peer in peers.items()}
        times = in_turns({kind: peers[kind] for kind, found in ready.items() if found})
        errors = {kind: failure(peer, said / kind) for kind, peer in peers.items()}
    whole = {kind: found for kind, found in times.items() if len(found) == ROUNDS}
    ms = {kind: statistics.median(found) for kind, found in whole.items()}
    ours = ms.get("ours", float("nan"))
    best = min((ms[kind] for kind in RIVALS if kind in ms), default=float("nan"))
    peak = next((rate for key, rate in PEAK.items() if key in torch.cuda.get_device_name()), None)
    flops = 6 * cost(arch_of(case)).flops * case.batch
    cells = [
        *(f"{ms[kind]:.3f}" if kind in ms else "-" for kind in (*OURS, *RIVALS)),
        "-" if math.isnan(best / ours) else f"{best / ours:.2f}",
        f"{flops / (ours / 1000) / peak:.1%}" if peak and "ours" in ms else "-",
        *(f"{ready[kind]:.1f}" if ready.get(kind) else "-" for kind in ("ours", "compiled")),
    ]
    failed = tuple(f"{case}: {kind} failed: {error}" for kind, error in errors.items() if error)
    return Compared(f"| {case} | {' | '.join(cells)} |", ours, best / ours, failed)


def steps() -> tuple[list[str], list[str]]:
    """The section of steps, and the targets that are missed."""
    lines = [
        "Milliseconds of a training step. Best is the fastest peer's time over ours.",
        "",
        "| network | ours | ours eager | ours contiguous | fused | compiled | captured | best | "
        "of peak | our set-up, s | compiled set-up, s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    missed, notes, started = [], [], time.monotonic()
    for case in CASES:
        if time.monotonic() - started > PART_SECONDS:
            notes.append(f"Time was up before {case}.")
            break
        found = compare(case)
        lines.append(found.row)
        notes += found.failed
        if case.batch == 128 and case.width < 1 and not found.ms <= SLOWEST:
            missed.append(f"{case}: a step must take at most {SLOWEST:g} ms, got {found.ms:.2f}")
        if PEERS and case == CASES[0] and not found.ratio >= LEAST_RATIO:
            rule = f"must be {LEAST_RATIO:g}x the best peer"
            missed.append(f"{case}: {rule}, got {found.ratio:.2f}x")
    if not PEERS:
        notes.append("torchvision is not installed here: no peer was measured.")
        missed.append("no peer was measured, for torchvision is not installed")
    return [*lines, *(line for note in notes for line in ("", note))], missed


if __name__ == "__main__":
    work(CASES[int(sys.argv[1])], sys.argv[2])
