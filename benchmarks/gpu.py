"""Training on one GPU: our step against a plain AMP + channels_last loop, in images a second.

    python -m benchmarks.gpu [--write]

The plain loop trains torchvision's model (timm's, where torchvision has none of that shape) the
way its users do: a loader on the device, autocast, channels_last, AdamW, nothing captured. Share
of peak is of the card's bfloat16 matrix rate, three times the forward's multiply-adds, two
operations each. Turn and turn about; medians of whole epochs. Says so where there is no GPU.
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from scalesearch.data import DataSet, Images
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import build_network
from scalesearch.networks.cost import cost
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials.step import make_optimizer, make_step
from scalesearch.trials.trial import channels_last

RESULT = Path(__file__).parents[1] / "results" / "benchmarks" / "gpu.md"
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # bfloat16, dense, by NVIDIA's sheets
# model, width multiplier, pixels, batch, images of an epoch
CASES = [
    ("efficientnet_b0", 0.25, 32, 128, 12_800),
    ("mobilenet_v2", 0.25, 32, 128, 12_800),
    ("resnet18", 0.25, 32, 128, 12_800),
    ("efficientnet_b0", 1.0, 224, 128, 2_560),
]
EPOCHS = 7
SHARES = (1, 2, 4, 8)


def arch_of(name: str, width: float, pixels: int) -> Arch:
    """The zoo's model with its widths multiplied, for ten classes of coloured images."""
    arch = zoo.find(name)
    if width != 1:
        arch = replace(arch, rules=replace(arch.rules, divisor=1))
    arch = replace(arch, dropout=0.0, stochastic_depth=0.0)
    arch = scale_arch(arch, Scale(width=width, resolution=pixels / arch.resolution))
    return replace(arch, classes=10)


def random_data(pixels: int, images: int) -> DataSet:
    """Random images on the GPU: what they show does not change the time."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (images, 3, pixels, pixels), dtype=torch.uint8, generator=generator)
    y = torch.randint(10, (images,), generator=generator)
    both = Images(x.cuda(), y.cuda())
    return DataSet("random", both, both, None, tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)


def our_epoch(arch: Arch, data: DataSet, batch: int, graph: bool = True):
    """A function that trains our network for an epoch."""
    network = build_network(arch).cuda().train()
    channels_last(network)
    recipe = Recipe(batch_size=batch)
    optimizer = make_optimizer(network, recipe, torch.device("cuda"))
    step = make_step(network, optimizer, data, data.train, recipe, graph)
    unflipped = torch.zeros(len(data.train), dtype=torch.bool, device="cuda")

    def epoch() -> None:
        order = torch.randperm(len(data.train)).cuda()
        for indices in order.split(batch):
            step(indices, unflipped[indices], 1e-3)

    return epoch


def plain_epoch(name: str, width: float, data: DataSet, batch: int):
    """A function that trains torchvision's network for an epoch in a plain AMP loop."""
    from benchmarks.peers.torchvision_step import build  # torchvision is not ours to need

    network: nn.Module = build(name, width).cuda().train()
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    mean = torch.tensor(data.mean, device="cuda").view(1, -1, 1, 1)
    std = torch.tensor(data.std, device="cuda").view(1, -1, 1, 1)

    def epoch() -> None:
        for indices in torch.randperm(len(data.train)).cuda().split(batch):
            x = (data.train.pixels[indices] / 255 - mean) / std
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16):
                loss = F.cross_entropy(network(x), data.train.labels[indices])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def seconds(epoch) -> float:
    """Seconds of an epoch, the GPU's work included."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    epoch()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def compare(name: str, width: float, pixels: int, batch: int, images: int) -> str:
    """A row of the table: both rates, their ratio, our share of the card's peak."""
    arch, data = arch_of(name, width, pixels), random_data(pixels, images)
    plain, ours = plain_epoch(name, width, data, batch), our_epoch(arch, data, batch)
    eager = our_epoch(arch, data, batch, graph=False)
    times = [[seconds(run) for run in (plain, eager, ours)] for _ in range(EPOCHS)][2:]
    theirs, uncaptured, mine = (images / statistics.median(t) for t in zip(*times, strict=True))
    card = torch.cuda.get_device_name()
    peak = next((rate for key, rate in PEAK.items() if key in card), None)
    share = f"{6 * cost(arch).flops * mine / peak:.1%}" if peak else "?"
    return (
        f"| {name} x{width:g}, {pixels} px, batch {batch} | {theirs:.0f} | {uncaptured:.0f} | "
        f"{mine:.0f} | {mine / theirs:.2f} | {share} |"
    )


def together(count: int) -> float:
    """Images a second of all of `count` processes that train the first case at once."""
    line = [sys.executable, "-m", "benchmarks.gpu", "--one"]
    root = Path(__file__).parents[1]
    running = [
        subprocess.Popen(line, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def one() -> None:
    """Train the first case for ten seconds and print its images a second."""
    name, width, pixels, batch, images = CASES[0]
    epoch = our_epoch(arch_of(name, width, pixels), random_data(pixels, images), batch)
    times = [seconds(epoch) for _ in range(3)]
    end = time.perf_counter() + 10
    while time.perf_counter() < end:
        times.append(seconds(epoch))
    print(images / statistics.median(times[3:]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        return print("no GPU here: nothing was measured")
    if options.one:
        return one()
    rows = [compare(*case) for case in CASES]
    alone = together(1)
    shared = {count: alone if count == 1 else together(count) for count in SHARES}
    text = "\n".join(
        [
            "# Training steps on one GPU",
            "",
            f"{torch.cuda.get_device_name()}, torch {torch.__version__}; medians of {EPOCHS - 2} "
            "epochs, turn and turn about. Plain is torchvision's model, AMP and channels_last.",
            "",
            "| network | plain, images/s | ours uncaptured | ours | ratio | of peak |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "Several proxies on the card (the first row's), images/s of all:",
            "",
            "| processes | images/s | against one |",
            "|---|---|---|",
            *(f"| {n} | {rate:.0f} | {rate / alone:.2f} |" for n, rate in shared.items()),
            "",
        ]
    )
    print(text)
    if options.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
