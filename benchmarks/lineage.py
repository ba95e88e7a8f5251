"""Train the field's history, LeNet-5 to EfficientNetV2, on one data set by one recipe.

    python -m benchmarks.lineage              # hours; killed, the same command goes on
    python -m benchmarks.lineage --seeds 1 --max-hours 1

writes results/lineage: a training as `scalesearch train` leaves one, and lineage.md, accuracy
against flops by year. Each network has the images' pixels and the largest output stride that leaves
its last map 4 of them, and the width that stands behind its name, its own where there is none.
"""

import argparse
from contextlib import suppress
from pathlib import Path

from scalesearch.families.front import Front, find_front
from scalesearch.files import write_text
from scalesearch.search.members import run_training
from scalesearch.search.options import RunOptions
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.units import short

RESULTS = Path(__file__).parents[1] / "results"
# the year of each paper, and what kept its network from its own form here
LINEAGE = {
    "lenet5": ("LeNet-5", 1998, "its first subsampling left out"),
    "alexnet_w0.125": ("AlexNet", 2012, "an eighth of the width"),
    "vgg11_bn_w0.125": ("VGG-11", 2014, "an eighth of the width"),
    "googlenet_w0.25": ("GoogLeNet", 2014, "a quarter of the width, no auxiliary heads"),
    "resnet18_w0.25": ("ResNet-18", 2015, "a quarter of the width"),
    "mobilenet_v1_w0.25": ("MobileNetV1", 2017, "a quarter of the width"),
    "mobilenet_v2_w0.25": ("MobileNetV2", 2018, "a quarter of the width"),
    "efficientnet_b0_w0.25": ("EfficientNet-B0", 2019, "a quarter of the width"),
    "efficientnet_v2_s_w0.125": ("EfficientNetV2-S", 2021, "an eighth of the width"),
}


def main() -> None:
    """Train what is lacking, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=16000)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--max-hours", type=float)
    asked = parser.parse_args()
    options = TrainOptions(
        targets=tuple(LINEAGE),
        data=asked.data,
        seeds=asked.seeds,
        epochs=asked.epochs,
        examples=asked.examples,
        results=RESULTS,
        name="lineage",
    )
    training, folder = prepare_training(options)
    with suppress(KeyboardInterrupt):  # the page is of what has been trained
        run_training(training, folder, RunOptions(workers=asked.workers, max_hours=asked.max_hours))
    front = find_front(folder)
    if front is not None:
        write_text(folder / "lineage.md", page(front))


def page(front: Front) -> str:
    """The lineage in Markdown: a row for each system, by its year."""
    rows = [
        f"| {year} | {system} | {row.resolution} | {short(row.flops)} | {short(row.params)} | "
        f"{row.accuracy:.2%} | {row.seeds} | {held_back or 'its own form'} |"
        for name, (system, year, held_back) in LINEAGE.items()
        for row in front.rows
        if row.name == name
    ]
    return "\n".join(
        [
            "# The lineage",
            "",
            f"Every system trained end to end on {front.examples or 0:,} images of {front.images}, "
            f"{front.epochs} epochs, by one recipe; flops are {front.flops_convention}. Accuracy "
            "is fitted over the seeds; each network strides less than in its paper.",
            "",
            "| year | system | px | flops | params | accuracy | seeds | here |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
