"""Images a second of training proxies on one CPU thread: our modules against torch's own.

Both networks have the same weights and see the same batches, turn and turn about in one process;
medians of many steps. `--write` keeps the table in results/benchmarks/cpu.md.
"""

import argparse
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import build_network
from scalesearch.networks.scaling import Scale, scale_arch

BATCH = 64
PROXIES = {
    # model, width multiplier, pixels
    "efficientnet_b0 x0.125, 20 px": ("efficientnet_b0", 0.125, 20),
    "efficientnet_b0 x0.25, 20 px": ("efficientnet_b0", 0.25, 20),
    "mobilenet_v2 x0.25, 20 px": ("mobilenet_v2", 0.25, 20),
    "resnet18 x0.25, 20 px": ("resnet18", 0.25, 20),
}


def proxy(model: str, width: float, pixels: int) -> Arch:
    """A proxy of `model` for grey images of ten classes."""
    arch = zoo.find(model)
    arch = replace(arch, rules=replace(arch.rules, divisor=1), dropout=0.0, stochastic_depth=0.0)
    arch = scale_arch(arch, Scale(width=width, resolution=pixels / arch.resolution))
    return replace(arch, channels=1, classes=10)


def plain(network: nn.Module) -> nn.Module:
    """The network with each fast module's class put back to torch's own."""
    for module in network.modules():
        for base in (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d):
            if isinstance(module, base):
                module.__class__ = base
    return network


def step_seconds(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of one forward and backward pass."""
    started = time.perf_counter()
    network.zero_grad(set_to_none=True)
    F.cross_entropy(network(images), labels).backward()
    return time.perf_counter() - started


def compare(arch: Arch, steps: int) -> tuple[float, float]:
    """Images a second, torch's own modules and ours, from medians of interleaved steps."""
    networks = [plain(build_network(arch)).train(), build_network(arch).train()]
    images = torch.randn(BATCH, 1, arch.resolution, arch.resolution)
    labels = torch.randint(10, (BATCH,))
    seconds = [[step_seconds(net, images, labels) for net in networks] for _ in range(steps + 3)]
    medians = [statistics.median(column) for column in zip(*seconds[3:], strict=True)]
    return BATCH / medians[0], BATCH / medians[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        f"# Training proxies on one CPU thread, batch {BATCH}, forward and backward",
        "",
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}; "
        f"medians of {options.steps} interleaved steps.",
        "",
        "| proxy | torch's modules, images/s | ours, images/s | ratio |",
        "|---|---|---|---|",
    ]
    for name, row in PROXIES.items():
        theirs, ours = compare(proxy(*row), options.steps)
        lines.append(f"| {name} | {theirs:.0f} | {ours:.0f} | {ours / theirs:.2f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        path = Path(__file__).parents[1] / "results" / "benchmarks" / "cpu.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
