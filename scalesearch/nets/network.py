"""build_network(arch) -> nn.Module."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from scalesearch.arch import Arch, Stage
from scalesearch.nets.blocks import BLOCKS, MBConv, Residual
from scalesearch.nets.fast import GlobalAvgPool2d


class Placed(NamedTuple):
    """A block's place in its network: part and stage, its row, input width and stride."""

    part: str
    stage: Stage
    in_width: int
    stride: int
    drop: float


def placed_blocks(arch: Arch) -> Iterator[Placed]:
    """Every block of `arch` in order, stem to head; only stages drop (stochastic depth).

    Raises ValueError for a block that BLOCKS does not have.
    """
    in_width = arch.channels
    total = sum(arch.depths)
    done = 0
    for part, stages in (("stem", arch.stem), ("stages", arch.stages), ("head", arch.head)):
        for row, stage in enumerate(stages, 1):
            if stage.block not in BLOCKS:
                raise ValueError(
                    f"{arch.name}, {part} row {row}: a block must be one of "
                    f"{', '.join(sorted(BLOCKS))}; got {stage.block!r}"
                )
            for repeat in range(stage.depth):
                drop = 0.0
                if part == "stages":
                    drop = arch.stochastic_depth * done / total
                    done += 1
                yield Placed(part, stage, in_width, stage.stride if repeat == 0 else 1, drop)
                in_width = stage.width


class Network(nn.Module):
    """stem, stages, head, global pooling, dropout, classifier: images to logits."""

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        parts: dict[str, list[nn.Module]] = {"stem": [], "stages": [], "head": []}
        width = arch.channels
        for part, stage, in_width, stride, drop in placed_blocks(arch):
            parts[part].append(BLOCKS[stage.block](arch, stage, in_width, stride, drop))
            width = stage.width
        self.stem = nn.Sequential(*parts["stem"])
        self.stages = nn.Sequential(*parts["stages"])
        self.head = nn.Sequential(*parts["head"])
        self.pool = GlobalAvgPool2d()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(arch.dropout)
        self.classifier = nn.Linear(width, arch.classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(self.stages(self.stem(images)))
        logits: Tensor = self.classifier(self.dropout(self.flatten(self.pool(features))))
        return logits


def build_network(arch: Arch) -> Network:
    """`arch` as a network with fresh weights, drawn from torch's global generator.

    Convolutions: normal, variance 2 / fan_out (He et al. 2015); the classifier: uniform within
    1 / sqrt(classes), as EfficientNet's reference code has it. Raises ValueError for a bad row.
    """
    network = Network(arch)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    bound = 1 / math.sqrt(arch.classes)
    nn.init.uniform_(network.classifier.weight, -bound, bound)
    nn.init.zeros_(network.classifier.bias)
    return network


def zero_residuals(network: nn.Module) -> None:
    """Set the last norm's weight of every residual branch to zero: blocks start as identities."""
    for module in network.modules():
        if isinstance(module, Residual) or (isinstance(module, MBConv) and module.skip):
            norms = [m for m in module.layers.modules() if isinstance(m, nn.BatchNorm2d)]
            nn.init.zeros_(norms[-1].weight)
