"""A proxy's training step, ours against torchvision's in a plain loop: images a second.

    python -m benchmarks.peers_cpu --peers VENV/bin/python [--write]

VENV has benchmarks/peers/requirements.txt. The two run turn and turn about, each in a process of
its own with one thread, from the same weights on the same batch; medians of all steps.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.plain_loop import curve, train
from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.stride import with_output_stride
from scalesearch.networks.weights import load_torchvision
from scalesearch.trials.memory import keep_freed_memory

ROOT = Path(__file__).parents[1]
BATCH, STEPS, WARM, ROUNDS = 64, 30, 5, 4
PROXIES = [
    # model, width multiplier, pixels, output stride
    ("efficientnet_b0", 0.125, 20, 32),
    ("efficientnet_b0", 0.25, 20, 32),
    ("mobilenet_v2", 0.25, 20, 32),
    ("resnet18", 0.25, 20, 32),
    ("efficientnet_b0", 0.125, 20, 16),
    ("efficientnet_b0", 0.125, 16, 8),
    ("efficientnet_b0", 0.25, 16, 8),
    ("efficientnet_b0", 0.125, 16, 4),
    ("efficientnet_b0", 0.125, 28, 8),
    ("mobilenet_v2", 0.25, 16, 8),
    ("resnet18", 0.25, 16, 8),
]


def ours(name: str, width: float, pixels: int, stride: int, path: str) -> dict[str, Any]:
    """Losses and seconds of our steps from the weights and the batch in a file."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as a trial does
    arch = zoo.find(name)
    arch = replace(arch, rules=replace(arch.rules, divisor=1), dropout=0.0, stochastic_depth=0.0)
    arch = scale_arch(arch, Scale(width=width, resolution=pixels / arch.resolution))
    arch = with_output_stride(replace(arch, classes=10), stride)
    network = build_network(arch).train()
    start = torch.load(path, weights_only=True)
    load_torchvision(network, start["state"])
    images, labels = start["images"], start["labels"]
    losses = curve(network, images, labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    _, seconds = train(network, images, labels, optimizer, STEPS)
    return {"losses": losses, "seconds": seconds, "torch": torch.__version__}


def run(*line: object) -> dict[str, Any]:
    """What a process prints as JSON."""
    ran = subprocess.run(
        [str(part) for part in line], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def compare(peers: str, *proxy: object) -> dict[str, Any]:
    """Median images a second of both, and how far their losses part."""
    seconds: dict[str, list[float]] = {"theirs": [], "ours": []}
    apart = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "start.pt"
        line = ("-m", "benchmarks.peers.torchvision_step", *proxy, BATCH, STEPS, path)
        for _ in range(ROUNDS):
            theirs = run(peers, *line)
            mine = run(sys.executable, "-m", "benchmarks.peers_cpu", "--ours", *proxy, path)
            seconds["theirs"] += theirs["seconds"][WARM:]
            seconds["ours"] += mine["seconds"][WARM:]
            pairs = zip(theirs["losses"], mine["losses"], strict=True)
            apart = max([apart, *(abs(a - b) / a for a, b in pairs)])
    rates = {key: BATCH / statistics.median(values) for key, values in seconds.items()}
    return {**rates, "apart": apart, "torch": (theirs["torch"], mine["torch"])}


def main() -> None:
    """Print the table, or be one side of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers")
    parser.add_argument("--ours", nargs=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.ours:
        name, width, pixels, stride, path = options.ours
        return print(json.dumps(ours(name, float(width), int(pixels), int(stride), path)))
    rows = []
    for name, width, pixels, stride in PROXIES:
        found = compare(options.peers, name, width, pixels, stride)
        rows.append(
            f"| {name} x{width:g}, {pixels} px / {stride} | "
            f"{found['theirs']:.0f} | {found['ours']:.0f} | "
            f"{found['ours'] / found['theirs']:.2f} | {found['apart']:.0e} |"
        )
        print(rows[-1], flush=True)
    text = "\n".join(
        [
            f"# Training steps on one CPU thread, batch {BATCH}: ours and torchvision's",
            "",
            f"Ours on torch {found['torch'][1]}; torchvision 0.29.2 on torch {found['torch'][0]}, "
            f"the same widths, AdamW, a plain loop. {platform.machine()}; medians of "
            f"{ROUNDS} x {STEPS - WARM} steps, the two turn and turn about. The last column is the "
            "largest relative difference of the losses of ten steps of SGD (rate 1e-4) from there, "
            "in float64. After a proxy's pixels stands its output stride: below 32 the earliest "
            "strides are 1 in both.",
            "",
            "| proxy | torchvision, images/s | ours, images/s | ratio | losses apart |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    if options.write:
        (ROOT / "results" / "benchmarks" / "peers_cpu.md").write_text(text)


if __name__ == "__main__":
    main()
