"""Packing, memory and feeding of image files: what results/benchmarks/data.md holds.

    python -m benchmarks.data [PART ...] [--folder DIR] [--images 200000] [--cifar DIR] [--write]

many     images of 64 px in 100 folders: written, packed with two kills on the way, trained on
imagenet photographs of 500 x 375 px packed for a second or two, and what 1.28 million would take
feed     what gathering and augmenting a batch takes of a training step, on a CPU
cifar    CIFAR-10 as 60,000 JPEG files in the folder --cifar: plan, pack, run
bad      what is said of bad data, a line each
recipes  the same network trained on --photos DIR by the recipes plain and photos
"""

import argparse
import io
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.bad_data import table
from benchmarks.memory import watch
from scalesearch.data import DataSet, Images, describe, load, pack
from scalesearch.data.decode import decode
from scalesearch.data.packs import chunk_images
from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.cost import cost
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.augmentation import NAMED, Augmentation
from scalesearch.spaces.space import Recipe
from scalesearch.trials.augment import draws
from scalesearch.trials.feed import streamed
from scalesearch.trials.step import augmenter, make_optimizer, make_step
from scalesearch.trials.trial import Trial, run_trial
from scalesearch.units import duration

RESULT = Path(__file__).parents[1] / "results" / "benchmarks" / "data.md"
SPACE = """
model: mobilenet_v2
grid: {alpha: [1.0, 1.5, 2.0], beta: [1.0, 1.25, 1.5], gamma: [1.0, 1.15]}
tolerance: 0.25
policy: grid
proxies:
  quick:
    width: 0.1
    depth: 0.3
    divisor: 4
    resolution: SIDE
    stem_stride: STRIDE
    recipe: {epochs: 1, batch_size: 128}
"""
PACK = """
import logging, sys
from pathlib import Path
from scalesearch.data import pack
logging.basicConfig(level=logging.INFO)
print(pack(sys.argv[1], cache=Path(sys.argv[2])))
"""
DISTINCT = 2000  # images; each is written as often as it takes
ROUNDS = 15
IMAGENET = 1_281_167
WORKERS = ("ray::Worker", "ray::Resource")


def picture(rng: np.random.Generator, width: int, height: int) -> bytes:
    """A JPEG file of blurred noise, about as large as a photograph's of that size."""
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, np.int16) + rng.integers(-12, 13, (height, width, 3), np.int16)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=85)
    return out.getvalue()


def write_many(folder: Path, images: int) -> None:
    """So many files in 100 folders."""
    rng = np.random.default_rng(0)
    files = [picture(rng, 64, 64) for _ in range(min(images, DISTINCT))]
    for i in range(images):
        path = folder / f"{i % 100:02}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[i % len(files)])


def many(options: argparse.Namespace) -> str:
    """The section of so many images."""
    root: Path = options.folder / f"many-{options.images}"
    if not (root / "done").exists():
        write_many(root / "images", options.images)
        (root / "done").touch()
    source, cache = f"imagefolder:{root}/images", root / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    shares = [killed_at(source, cache, x * options.images) / options.images for x in (0.3, 0.6)]
    started = time.monotonic()
    ended = run_packing(source, cache)
    _, said = ended.communicate()
    seconds = time.monotonic() - started
    rate = re.search(r"packed (\d+) images.*?(\d+) a second", said)
    assert ended.returncode == 0 and rate, said
    space = root / "space.yaml"
    space.write_text(SPACE.replace("SIDE", "56").replace("STRIDE", "2"))
    shutil.rmtree(root / "results", ignore_errors=True)
    command = [sys.executable, "-m", "scalesearch", "run", str(space), "--data", source]
    command += ["--cache", str(cache), "--results", str(root / "results"), "--workers", "2"]
    run = watch(command, WORKERS, options.seconds)
    most = ", ".join(f"{name.split('/')[-1]} {size:.0f}" for name, size in run.each.items())
    return f"""
{options.images:,} JPEG files of 64 px in 100 folders ({DISTINCT:,} distinct, each written often):

| what | figure |
|---|---|
| packed when it was killed, twice | {", ".join(f"{100 * share:.0f} %" for share in shares)} |
| then gone on with, to the end | {rate[1]} images in {duration(seconds)}, {rate[2]} a second |
| private memory of one process in a run on them | {run.private:.0f} MB at most |
| driver and two workers together, proportional set size | {run.proportional:.0f} MB |

Private memory by process, MB: {most}.
Proportional set size counts the pages of the pack that they map, too, each once. The run was
watched for {duration(run.seconds)}.
"""


def run_packing(source: str, cache: Path) -> "subprocess.Popen[str]":
    """A process that packs."""
    command = [sys.executable, "-c", PACK, source, str(cache)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def killed_at(source: str, cache: Path, images: float) -> int:
    """Kill a packing when about so many images are packed; how many then were."""
    process = run_packing(source, cache)
    while packed_in(cache) < images:
        if process.poll() is not None:
            raise RuntimeError("it ended before it was killed")
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return packed_in(cache)


def packed_in(cache: Path) -> int:
    """About how many images of 64 px are recorded as packed in a cache."""
    records = cache.glob("packs/*/chunks.jsonl")
    return sum(len(path.read_text().splitlines()) for path in records) * chunk_images(64)


def imagenet(options: argparse.Namespace) -> str:
    """The section of large photographs, extrapolated."""
    rng = np.random.default_rng(0)
    files = [picture(rng, 500, 375) for _ in range(20)]
    size, lines = sum(map(len, files)) / len(files), []
    for side in (64, 128, 224):
        started, done = time.process_time(), 0
        while time.process_time() - started < 2:
            decode(files[done % len(files)], side)
            done += 1
        rate = done / (time.process_time() - started)
        hours = duration(IMAGENET / rate / 16)
        size_there = IMAGENET * 3 * side**2 / 1e9
        lines.append(
            f"| {side} | {rate:.0f} | {duration(IMAGENET / rate / 2)} | {hours} | "
            f"{size_there:.1f} GB |"
        )
    return f"""
JPEG files of 500 x 375 px, {size / 1e3:.0f} kB each, decoded and resized; on paper for ImageNet's
{IMAGENET:,} training images (no disk is waited for):

| px | images a second of CPU | on 2 cores | on 16 cores | pack |
|---|---|---|---|---|
{chr(10).join(lines)}

Memory does not grow with them: a worker maps the pack, and copies batches.
"""


def feed(options: argparse.Namespace) -> str:
    """The section of what a batch costs beside the step."""
    torch.set_num_threads(1)
    pixels = torch.randint(256, (2048, 3, 64, 64), dtype=torch.uint8)
    images = Images(pixels, torch.randint(10, (2048,)))
    data = DataSet("made", images, images, None, tuple("0123456789"), (0.5,) * 3, (0.25,) * 3)
    arch = scale_arch(zoo.find("efficientnet_b0"), Scale(1, 0.25, 56 / 224))
    arch = replace(arch, classes=10)
    names = {**NAMED, "RandAugment 9, mixup": Augmentation(crop=0.08, randaugment=9, mixup=0.2)}
    network = build_network(arch).train()
    recipe = Recipe(batch_size=64)
    optimizer = make_optimizer(network, recipe, torch.device("cpu"))
    small = Images(pixels[:64, :, :56, :56].contiguous(), images.labels[:64])
    step = make_step(network, optimizer, data, small, recipe)
    order, flipped = torch.arange(64), torch.arange(64) % 2 == 0
    shown = replace(images, shown=(56,))
    times: dict[str, list[float]] = {name: [] for name in ("step", "gathered", *names)}
    for round_ in range(ROUNDS):
        timed(times["step"], lambda: step(order, flipped, 1e-4))
        batches = torch.randperm(2048)[:64].split(64)
        timed(times["gathered"], lambda found=batches: list(streamed(shown, found)))
        for name, augment in names.items():
            prepare = augmenter(data, replace(recipe, augment=augment), 56)
            plain = augment == Augmentation()
            drawn = flipped if plain else draws(augment, flipped, 0, round_)
            given = small.pixels if augment.crop == 1 else pixels[:64]
            timed(times[name], lambda f=prepare, g=given, d=drawn: f(g, images.labels[:64], d))
    median = {name: float(np.median(of)) for name, of in times.items()}
    rows = [
        f"| {name} | {1e3 * median[name]:.1f} | {100 * median[name] / median['step']:.1f} % |"
        for name in median
    ]
    return f"""
A batch of 64 images of 64 px, shown at 56; the step is of EfficientNet-B0 at a quarter of its width
({cost(arch).flops / 1e6:.1f}M flops) at 56 px, its own normalising and mirroring in it. CPU time,
medians of {ROUNDS} rounds in turn:

| what | ms | of the step |
|---|---|---|
{chr(10).join(rows)}

*gathered* is what streaming adds: batches picked from the map and resized by a thread. The rows of
recipes are normalising, mirroring and augmenting.
"""


def timed(into: list[float], call: Callable[[], object]) -> None:
    """Add the CPU seconds of a call."""
    started = time.process_time()
    call()
    into.append(time.process_time() - started)


def cifar(options: argparse.Namespace) -> str:
    """The section of CIFAR-10 as files."""
    root: Path = options.folder / "cifar"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    space = root / "space.yaml"
    space.write_text(SPACE.replace("SIDE", "28").replace("STRIDE", "1"))
    source = f"imagefolder:{options.cifar}"
    line = [sys.executable, "-m", "scalesearch"]
    given = [str(space), "--data", source]
    os.environ["XDG_CACHE_HOME"] = str(root / "user")  # where nothing is known yet
    planned = [watch([*line, "plan", *given]) for _ in range(2)]
    run = [*line, "run", *given, "--results", str(root), "--cache", str(root), "--workers", "2"]
    dry = [watch([*run, "--dry-run"]) for _ in range(2)]
    started = time.monotonic()
    pack(source, side=32, cache=root / "apart")
    seconds = time.monotonic() - started
    found = watch(run, WORKERS, options.seconds)
    at_plan, at_dry = (
        f"{two[0].seconds:.1f}, {two[1].seconds:.1f} | {two[0].busy:.1f}, {two[1].busy:.1f}"
        for two in (planned, dry)
    )
    most = ", ".join(f"{name.split('/')[-1]} {size:.0f}" for name, size in found.each.items())
    return f"""
60,000 JPEG files of 32 px:

| what | seconds | of them CPU | memory |
|---|---|---|---|
| `plan`, cold and warm | {at_plan} | {planned[0].resident:.0f} MB |
| `run --dry-run`, cold and warm | {at_dry} | {dry[0].resident:.0f} MB |
| the first pack | {seconds:.1f} | | |
| driver and two workers, proportional set size | | | {found.proportional:.0f} MB |

A first command counts every network's cost, a first dry run times training steps; the files had
been read before. Memory is resident where it is of one process; private memory by process, MB:
{most}. The run was watched for {duration(found.seconds)}.
"""


def recipes(options: argparse.Namespace) -> str:
    """The section of one network trained by two recipes."""
    source = f"imagefolder:{options.photos}"
    classes = len(describe(source).classes)
    folder = pack(source, train_examples=2000, val_examples=1000, side=64, cache=options.folder)
    arch = scale_arch(zoo.find("mobilenet_v2"), Scale(0.5, 0.25, 64 / 224))
    arch = replace(arch, name="", classes=classes)
    val = len(load(f"pack:{folder}").val)
    rows = []
    for name in ("plain", "photos"):
        recipe = Recipe(epochs=options.epochs, batch_size=32, augment=NAMED[name])
        ends = []
        for seed in range(2):
            trial = Trial(arch, seed, f"pack:{folder}", None, 5000, recipe)
            *_, last = run_trial(trial)
            ends.append(last)
        losses = ", ".join(f"{end.loss:.3f}" for end in ends)
        right = ", ".join(f"{100 * end.accuracy:.1f} %" for end in ends)
        rows.append(f"| {name} | {right} | {losses} | {ends[0].train_loss:.3f} |")
    return f"""
{folder.name.rsplit("-", 2)[0]}: MobileNetV2 at half its depth and a quarter of its width, 64 px,
2,000 images, {options.epochs} epochs, seeds 0 and 1, {val} images to validate:

| recipe | accuracy | loss | training loss |
|---|---|---|---|
{chr(10).join(rows)}
"""


def bad(options: argparse.Namespace) -> str:
    """The section of bad data."""
    with tempfile.TemporaryDirectory() as folder:
        return f"\n{table(Path(folder))}\n"


PARTS: dict[str, tuple[str, Callable[[argparse.Namespace], str]]] = {
    "many": ("Many images", many),
    "imagenet": ("ImageNet, on paper", imagenet),
    "feed": ("A batch beside its step", feed),
    "cifar": ("CIFAR-10 as files", cifar),
    "recipes": ("Recipes", recipes),
    "bad": ("Bad data", bad),
}


def written(part: str, text: str) -> None:
    """Put a section into the page, whose other sections stay."""
    title = f"## {PARTS[part][0]}\n"
    where = f"{os.cpu_count()} cores ({platform.machine()}), torch {torch.__version__}"
    head = f"# Image files\n\n`python -m benchmarks.data --write`; {where}.\n"
    there = RESULT.read_text() if RESULT.exists() else ""
    found = dict(re.findall(r"(?ms)^(## [^\n]*\n)(.*?)(?=^## |\Z)", there))
    found[title] = text
    order = [f"## {name}\n" for name, _ in PARTS.values()]
    body = "".join(f"\n{key}{found[key].rstrip()}\n" for key in order if key in found)
    RESULT.write_text(head + body)


def main() -> None:
    """Measure the parts that were named, or all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "data-bench")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=240, help="Of a run that is watched.")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wanted = {"cifar": options.cifar, "recipes": options.photos}
    for part in options.part or PARTS:
        if wanted.get(part, part) is None:
            continue
        text = PARTS[part][1](options)
        print(f"## {PARTS[part][0]}\n{text}")
        if options.write:
            written(part, text)


if __name__ == "__main__":
    main()
