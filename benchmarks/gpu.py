"""Training on one GPU: our step against torchvision's model, whole trials, several on a card.

    python -m benchmarks.gpu steps|trials|sharing [--write]

Each part takes at most ten minutes and writes its section of results/benchmarks/gpu.md.

steps: ours against three peers, turn and turn about, medians of rounds. All are of torchvision's
model under autocast in bfloat16, channels last, with fused AdamW: as it is (fused), compiled by
torch.compile with its own CUDA graphs (compiled), and with the whole step in a graph as torch's
documentation does it (captured). Set-up is from the network to the end of the first step. Share of
peak is of the card's dense bfloat16 rate: three times the forward's multiply-adds, two operations
each. Where torchvision is missing the peers are left out.

trials: the shipped proxies on random images of Fashion-MNIST's numbers: set-up, an epoch, an
evaluation, trials an hour.

sharing: several processes train the same proxy; images that all of them have finished within one
common window. Under NVIDIA's MPS as well, where its program is there.

Says so, with exit code 1, where there is no GPU, or where a target is missed.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.gpu_steps import CASES, CUDA, ROUNDS, on_card, our_step, random_data, seconds, steps
from scalesearch.data import DataSet, resized
from scalesearch.networks.device import capture_on, placed
from scalesearch.networks.models import Model, build_model
from scalesearch.spaces.files import load_space
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.trials.train import make_evaluation
from scalesearch.trials.trial import Trial, run_trial

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "results" / "benchmarks" / "gpu.md"
HEAD = "# Training on one GPU\n\nMade by `make gpu`; benchmarks/gpu.py says what is measured.\n\n"
WINDOW = 10.0
COUNTS = (1, 2, 4, 8)
LEAST_SHARED = 2.5  # of what one process does
IMAGES = (55_000, 5_000)  # to train and to validate, as Fashion-MNIST is split


def trials() -> tuple[list[str], list[str]]:
    """The section of whole trials of the shipped proxies; no target is theirs."""
    lines = [
        "Shipped proxies on random images, each 1x baseline for two epochs; trials an hour of one "
        "process.",
        "",
        "| proxy | set-up, s | epoch, s | evaluation, images/s | eager | trials an hour |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("efficientnet", "mobilenet_v2", "resnet"):
        space = load_space(name)
        for proxy_name in ("quick", "standard"):
            proxy = space.proxies[proxy_name]
            arch = proxy_baseline(space, proxy, 1, 10)
            train = proxy.train_examples or IMAGES[0]
            data = random_data(28, 1, train, IMAGES[1])
            recipe = replace(proxy.recipe, epochs=2)
            trial = Trial(arch, 0, "random", train, IMAGES[1], recipe, device="cuda")
            ends = [time.perf_counter()]
            ends += [time.perf_counter() for _ in run_trial(trial, lambda *_, data=data: data)]
            epoch = ends[2] - ends[1]
            first = ends[1] - ends[0]
            hour = 3600 / (first + (proxy.recipe.epochs - 1) * epoch)
            rates = evaluation_rates(arch, data)
            lines.append(
                f"| {name} {proxy_name} | {first - epoch:.1f} | {epoch:.2f} | {rates[0]:.0f} | "
                f"{rates[1]:.0f} | {hour:.0f} |"
            )
    return lines, []


def evaluation_rates(model: Model, data: DataSet) -> tuple[float, float]:
    """Images a second of an evaluation, captured and eager."""
    network = placed(build_model(model), CUDA)
    card = on_card(replace(data, val=resized(data.val, model.resolution)))
    found = []
    for capture in (capture_on(CUDA), None):
        evaluate = make_evaluation(network, card, card.val, capture)
        evaluate()
        found.append(len(card.val) / statistics.median(seconds(evaluate) for _ in range(ROUNDS)))
    return found[0], found[1]


def sharing() -> tuple[list[str], list[str]]:
    """The section of several proxies on a card, and the targets that are missed."""
    lines = [
        f"Processes that train {CASES[0]}: images/s of all, finished within one common window of "
        f"{WINDOW:g} s.",
        "",
        "| processes | images/s | against one |",
        "|---|---|---|",
    ]
    alone, best = together(1), 0.0
    for count in COUNTS:
        rate = alone if count == 1 else together(count)
        lines.append(f"| {count} | {rate:.0f} | {rate / alone:.2f} |")
        best = rate / alone if count == COUNTS[-1] else best
    if shutil.which("nvidia-cuda-mps-control"):
        with mps():
            rate = together(COUNTS[-1])
        lines.append(f"| {COUNTS[-1]}, under MPS | {rate:.0f} | {rate / alone:.2f} |")
        best = max(best, rate / alone)
    if best >= LEAST_SHARED:
        return lines, []
    return lines, [f"{COUNTS[-1]} proxies must do {LEAST_SHARED:g}x one, got {best:.2f}x"]


def together(count: int) -> float:
    """Images a second of `count` processes within a window that begins when all are ready."""
    line = [sys.executable, "-m", "benchmarks.gpu", "one"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(line, cwd=ROOT, text=True, **pipes) for _ in range(count)]
    for process in running:
        assert process.stdout is not None and "ready" in process.stdout.readline()
    start = time.time() + 0.5
    for process in running:  # all are told before one is waited for
        assert process.stdin is not None
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    finished = [process.communicate()[0] for process in running]
    return sum(int(said) for said in finished) / WINDOW


def one() -> None:
    """Train the first case from the time that stdin gives; print the images done in the window."""
    case = CASES[0]
    run = our_step(case, on_card(random_data(case.pixels, case.channels, 2_560, 128)))
    for _ in range(20):
        run()
    chunk = max(1, int(0.1 / (seconds(lambda: [run() for _ in range(20)]) / 20)))
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    time.sleep(max(0.0, start - time.time()))
    done = 0
    while time.time() < start + WINDOW:
        seconds(lambda: [run() for _ in range(chunk)])
        done += chunk * case.batch if time.time() <= start + WINDOW else 0
    print(done)


@contextmanager
def mps() -> Iterator[None]:
    """NVIDIA's multi-process service, for the processes that are started meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        where = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        with patch.dict(os.environ, where):
            subprocess.run(["nvidia-cuda-mps-control", "-d"], check=True)
            try:
                yield
            finally:
                subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, check=False)


def with_section(text: str, part: str, lines: list[str]) -> str:
    """The page with that section in the place of the one before, the others as they were."""
    _, *sections = re.split(r"(?m)^(?=## )", text)
    others = [section for section in sections if not section.startswith(f"## {part}\n")]
    made = f"## {part}\n\n{made_on()}\n\n" + "\n".join(lines) + "\n\n"
    return "".join([HEAD, *sorted([*others, made])]).rstrip() + "\n"


def made_on() -> str:
    """The card, the versions."""
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}."


def main(arguments: list[str] | None = None) -> int:
    """Print a part; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {"steps": steps, "trials": trials, "sharing": sharing}
    parser.add_argument("part", choices=[*parts, "one", "card"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        return 1
    if options.part == "card":
        print(made_on())
        return 0
    if options.part == "one":
        one()
        return 0
    lines, missed = parts[options.part]()
    print("\n".join([*lines, "", *missed]))
    if options.write:
        before = RESULT.read_text() if RESULT.exists() else ""
        RESULT.write_text(with_section(before, options.part, lines))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
