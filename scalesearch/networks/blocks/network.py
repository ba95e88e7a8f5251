"""build_network(arch) -> nn.Module."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scalesearch.networks.arch import Arch, Auxiliary, Hidden, width_after
from scalesearch.networks.blocks.blocks import row_layers
from scalesearch.networks.blocks.fast import AdaptiveAvgPool2d
from scalesearch.networks.blocks.init import AUXILIARY_INITS, INITS
from scalesearch.networks.blocks.layer import Layer, build, layer, sequence
from scalesearch.networks.blocks.layers import Style, style_of
from scalesearch.networks.blocks.layout import map_sides, naming, placed_blocks
from scalesearch.networks.blocks.lenet import RadialBasis
from scalesearch.networks.blocks.residual import FusedMBConv, MBConv, Residual


def last_layers(arch: Arch) -> dict[str, Layer]:
    """What follows the head, by its names in the network: maps to logits."""
    rows = (*arch.stem, *arch.stages, *arch.head)
    features = width_after(rows, arch.channels) * arch.pool**2
    width = arch.hidden[-1].width if arch.hidden else features
    classifier = RadialBasis if arch.classifier == "rbf" else nn.Linear
    return {
        "pool": layer(AdaptiveAvgPool2d, arch.pool),
        "flatten": layer(nn.Flatten),
        "hidden": hidden_layers(style_of(arch), arch.hidden, features),
        "dropout": layer(nn.Dropout, arch.dropout),
        "classifier": layer(classifier, width, arch.classes),
    }


def hidden_layers(style: Style, hidden: tuple[Hidden, ...], in_width: int) -> Layer:
    """The fully connected layers before a classifier: vectors to vectors."""
    layers = []
    for row in hidden:
        layers += [layer(nn.Dropout, row.dropout), layer(nn.Linear, in_width, row.width)]
        layers.append(layer(style.activation))
        in_width = row.width
    return sequence(*layers)


class AuxiliaryHead(nn.Module):
    """A classifier on a map inside the network: maps to logits."""

    def __init__(self, arch: Arch, auxiliary: Auxiliary, width: int) -> None:
        super().__init__()
        style = style_of(arch)
        self.rows = build(sequence(*row_layers(style, auxiliary.rows, width)))
        features = width_after(auxiliary.rows, width) * auxiliary.pool**2
        self.pool = nn.AdaptiveAvgPool2d(auxiliary.pool)
        self.flatten = nn.Flatten()
        self.hidden = build(hidden_layers(style, auxiliary.hidden, features))
        self.dropout = nn.Dropout(auxiliary.dropout)
        width = auxiliary.hidden[-1].width if auxiliary.hidden else features
        self.classifier = nn.Linear(width, arch.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.hidden(self.flatten(self.pool(self.rows(x))))
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class Network(nn.Module):
    """stem, stages, head, pooling, hidden layers, dropout, classifier: images to logits."""

    stem: nn.Sequential
    stages: nn.Sequential
    head: nn.Sequential
    pool: nn.Module
    flatten: nn.Module
    hidden: nn.Module
    dropout: nn.Module
    classifier: nn.Module

    def __init__(self, arch: Arch) -> None:
        super().__init__()
        self.arch = arch
        style = style_of(arch)
        parts: dict[str, list[nn.Module]] = {part: [] for part, _ in arch.parts}
        for place in placed_blocks(arch):
            with naming(arch, place):
                parts[place.part].append(build(place.layer(style)))
        for part, blocks in parts.items():
            self.add_module(part, nn.Sequential(*blocks))
        for name, last in last_layers(arch).items():
            self.add_module(name, build(last))
        self.taps = [sum(arch.depths[: extra.after]) for extra in arch.auxiliary]
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
    if isinstance(network, DistributedDataParallel):
        network = network.module
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
    if arch.init in AUXILIARY_INITS:
        AUXILIARY_INITS[arch.init](network.auxiliary)
    return network


def zero_residuals(network: nn.Module) -> None:
    """Set the last norm's weight of every residual branch to zero: blocks start as identities."""
    for module in network.modules():
        inverted = isinstance(module, MBConv | FusedMBConv) and module.skip
        if inverted or isinstance(module, Residual):
            branch = module.get_submodule("layers").modules()
            norms = [norm for norm in branch if isinstance(norm, nn.BatchNorm2d)]
            nn.init.zeros_(norms[-1].weight)
