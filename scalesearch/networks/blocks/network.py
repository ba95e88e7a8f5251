"""build_network(arch) -> nn.Module."""

from collections.abc import Callable

from torch import Tensor, nn

from scalesearch.networks.arch import Arch, Auxiliary, Hidden
from scalesearch.networks.blocks.blocks import make_block
from scalesearch.networks.blocks.fast import GlobalAvgPool2d
from scalesearch.networks.blocks.init import INITS
from scalesearch.networks.blocks.layers import ACTIVATIONS
from scalesearch.networks.blocks.layout import map_sides, naming, placed_blocks
from scalesearch.networks.blocks.lenet import RadialBasis
from scalesearch.networks.blocks.residual import FusedMBConv, MBConv, Residual


def hidden_layers(arch: Arch, hidden: tuple[Hidden, ...], in_width: int) -> nn.Sequential:
    """The fully connected layers before a classifier: vectors to vectors."""
    layers: list[nn.Module] = []
    for layer in hidden:
        layers += [nn.Dropout(layer.dropout), nn.Linear(in_width, layer.width)]
        layers.append(ACTIVATIONS[arch.activation]())
        in_width = layer.width
    return nn.Sequential(*layers)


class AuxiliaryHead(nn.Module):
    """A classifier on a map inside the network: maps to logits."""

    def __init__(self, arch: Arch, auxiliary: Auxiliary, width: int) -> None:
        super().__init__()
        blocks = []
        for row in auxiliary.rows:
            blocks.append(make_block(arch, row, width))
            width = row.width_after(width)
        self.rows = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(auxiliary.pool)
        self.flatten = nn.Flatten()
        self.hidden = hidden_layers(arch, auxiliary.hidden, width * auxiliary.pool**2)
        self.dropout = nn.Dropout(auxiliary.dropout)
        width = auxiliary.hidden[-1].width if auxiliary.hidden else width * auxiliary.pool**2
        self.classifier = nn.Linear(width, arch.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(self.flatten(self.pool(self.rows(x))))
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class Network(nn.Module):
    """stem, stages, head, pooling, hidden layers, dropout, classifier: images to logits."""

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.arch = arch
        parts: dict[str, list[nn.Module]] = {"stem": [], "stages": [], "head": []}
        ends = [0] * len(arch.stages)  # blocks that stand before the end of each stage row
        width = arch.channels
        for place in placed_blocks(arch):
            with naming(arch, place):
                block = make_block(arch, place.stage, place.in_width, place.stride, place.drop)
            parts[place.part].append(block)
            width = place.stage.width
            if place.part == "stages":
                ends[place.row - 1] = len(parts["stages"])
        self.stem = nn.Sequential(*parts["stem"])
        self.stages = nn.Sequential(*parts["stages"])
        self.head = nn.Sequential(*parts["head"])
        self.pool = GlobalAvgPool2d() if arch.pool == 1 else nn.AdaptiveAvgPool2d(arch.pool)
        self.flatten = nn.Flatten()
        self.hidden = hidden_layers(arch, arch.hidden, width * arch.pool**2)
        width = arch.hidden[-1].width if arch.hidden else width * arch.pool**2
        self.dropout = nn.Dropout(arch.dropout)
        self.classifier: nn.Module = (
            RadialBasis(width, arch.classes)
            if arch.classifier == "rbf"
            else nn.Linear(width, arch.classes)
        )
        self.taps = [ends[auxiliary.after - 1] for auxiliary in arch.auxiliary]
        self.auxiliary = nn.ModuleList(
            AuxiliaryHead(arch, x, arch.widths[x.after - 1]) for x in arch.auxiliary
        )

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits; in training, with auxiliary heads, a tuple of theirs after the network's own."""
        x = self.stem(images)
        extra: list[Tensor] = []
        done = 0
        for tap, head in zip(self.taps, self.auxiliary, strict=True):
            if self.training:
                x, done = self.stages[done:tap](x), tap
                extra.append(head(x))
        x = self.flatten(self.pool(self.head(self.stages[done:](x))))
        logits: Tensor = self.classifier(self.dropout(self.hidden(x)))
        return (logits, *extra) if extra else logits


def weighted_loss(network: nn.Module, images: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """`loss` of the logits for `images`, and of auxiliary heads' by their weights in training."""
    outputs: Tensor | tuple[Tensor, ...] = network(images)
    if isinstance(outputs, Tensor) or not isinstance(network, Network):
        return loss(outputs if isinstance(outputs, Tensor) else outputs[0])
    total = loss(outputs[0])
    for auxiliary, logits in zip(network.arch.auxiliary, outputs[1:], strict=True):
        total = total + auxiliary.weight * loss(logits)
    return total


def build_network(arch: Arch) -> Network:
    """`arch` as a network with fresh weights, drawn from torch's global generator.

    They are drawn as the reference that the arch names does (INITS). Raises ValueError, naming
    the row and the rule, for a table that cannot be built or a resolution too small for it.
    """
    if arch.init not in INITS:
        raise ValueError(
            f"{arch.name}: init must be one of {', '.join(sorted(INITS))}; got {arch.init!r}"
        )
    map_sides(arch)
    network = Network(arch)
    INITS[arch.init](network)
    return network


def zero_residuals(network: nn.Module) -> None:
    """Set the last norm's weight of every residual branch to zero: blocks start as identities."""
    for module in network.modules():
        inverted = isinstance(module, MBConv | FusedMBConv) and module.skip
        if inverted or isinstance(module, Residual):
            branch = module.get_submodule("layers").modules()
            norms = [norm for norm in branch if isinstance(norm, nn.BatchNorm2d)]
            nn.init.zeros_(norms[-1].weight)
