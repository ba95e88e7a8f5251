"""torchvision's name of every module of a network."""

from collections.abc import Callable
from itertools import groupby

from torch import nn

from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks.network import Network

Naming = Callable[[Network, list[str]], str]


def torchvision_names(network: Network) -> dict[str, str]:
    """torchvision's name of every module that has weights or statistics, by ours."""
    name = network.arch.name
    family = next((prefix for prefix in NAMINGS if name.startswith(prefix)), None)
    if family is None:
        raise ValueError(f"torchvision has no {name}; it has {', '.join(NAMINGS)}")
    return {
        path: NAMINGS[family](network, path.split("."))
        for path, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    }


def places(arch: Arch) -> list[tuple[int, int]]:
    """Stage row from 1 and repeat from 0 of each block of the stages."""
    return [(row, i) for row, depth in enumerate(arch.depths, 1) for i in range(depth)]


def _efficientnet(network: Network, path: list[str]) -> str:
    """features.STAGE.BLOCK.block.LAYER, stem and head being the first and last stages."""
    arch = network.arch
    match path:
        case ["stem" | "head", _, layer]:
            return f"features.{0 if path[0] == 'stem' else len(arch.stages) + 1}.{layer}"
        case ["stages", block, "layers", layer, part]:
            stage, repeat = places(arch)[int(block)]
            part = {"reduce": "fc1", "expand": "fc2"}.get(part, part)
            return f"features.{stage}.{repeat}.block.{layer}.{part}"
        case _:
            return "classifier.1"


def _mobilenet_v2(network: Network, path: list[str]) -> str:
    """features.BLOCK.conv.LAYER; a block's last convolution and norm stand there themselves."""
    match path:
        case ["stem" | "head", _, layer]:
            return f"features.{0 if path[0] == 'stem' else len(network.stages) + 1}.{layer}"
        case ["stages", block, "layers", layer, part]:
            layers = network.stages.get_submodule(f"{block}.layers")
            last = int(layer) == len(list(layers.children())) - 1
            inner = str(int(layer) + int(part)) if last else f"{layer}.{part}"
            return f"features.{int(block) + 1}.conv.{inner}"
        case _:
            return "classifier.1"


def _resnet(network: Network, path: list[str]) -> str:
    """layerSTAGE.BLOCK.convN, bnN and downsample; the stem is conv1 and bn1."""
    kinds = ("conv", "bn")
    match path:
        case ["stem", _, layer]:
            return f"{kinds[int(layer)]}1"
        case ["stages", block, "layers", layer, part]:
            stage, repeat = places(network.arch)[int(block)]
            return f"layer{stage}.{repeat}.{kinds[int(part)]}{int(layer) + 1}"
        case ["stages", block, "shortcut", part]:
            stage, repeat = places(network.arch)[int(block)]
            return f"layer{stage}.{repeat}.downsample.{part}"
        case _:
            return "fc"


def _flat(network: Network, path: list[str]) -> str:
    """features.N, counting every layer, and classifier.N, counting dropout and activations."""
    if path[0] in ("stem", "stages"):
        every = [
            f"{part}.{name}"
            for part in ("stem", "stages")
            for name, module in network.get_submodule(part).named_modules()
            if next(module.children(), None) is None and name
        ]
        return f"features.{every.index('.'.join(path))}"
    # VGG has no dropout before its first dense layer, AlexNet none before its last
    first = int(network.arch.hidden[0].dropout > 0)
    return (
        f"classifier.{first + 3 * (int(path[1]) // 3)}" if path[0] == "hidden" else "classifier.6"
    )


def _googlenet(network: Network, path: list[str]) -> str:
    """convN, inceptionSTAGEx.branchN and auxN, each convolution with a .conv and a .bn."""
    kinds = ("conv", "bn")
    match path:
        case ["stem", block, part]:
            convs = [i for i, m in enumerate(network.stem) if not isinstance(m, nn.MaxPool2d)]
            return f"conv{convs.index(int(block)) + 1}.{kinds[int(part)]}"
        case ["stages", block, "branches", branch, layer, part]:
            inner = "" if branch == "0" else f".{layer}"
            name = f"{_letters(network)[int(block)]}.branch{int(branch) + 1}{inner}"
            return f"{name}.{kinds[int(part)]}"
        case ["auxiliary", head, "rows", _, part]:
            return f"aux{int(head) + 1}.conv.{kinds[int(part)]}"
        case ["auxiliary", head, *rest]:
            return f"aux{int(head) + 1}.{'fc1' if rest[0] == 'hidden' else 'fc2'}"
        case _:
            return "fc"


def _letters(network: Network) -> dict[int, str]:
    """inception3a, 3b, 4a ...: a number for each pool that came before, letters in between."""
    names = {}
    runs = groupby(enumerate(network.stages), lambda pair: isinstance(pair[1], nn.MaxPool2d))
    blocks = [list(run) for is_pool, run in runs if not is_pool]
    for number, run in enumerate(blocks, 3):
        for letter, (index, _) in enumerate(run):
            names[index] = f"inception{number}{chr(ord('a') + letter)}"
    return names


# Inception v3: of each block its branches' convolutions, in the order that we hold them
INCEPTION_STEM = ("1a_3x3", "2a_3x3", "2b_3x3", "", "3b_1x1", "4a_3x3")
_POOL, _ONE = ["", "branch_pool"], ["branch1x1"]
_TRIPLE = ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]
_A = [_ONE, ["branch5x5_1", "branch5x5_2"], _TRIPLE, _POOL]
_B = [["branch3x3"], _TRIPLE]
_C = [
    _ONE,
    [f"branch7x7_{i}" for i in (1, 2, 3)],
    [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)],
    _POOL,
]
_D = [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]]
_E = [_ONE, ["branch3x3_1", "branch3x3_2"], _TRIPLE, _POOL]
INCEPTION_BLOCKS = [
    *(("5b", _A), ("5c", _A), ("5d", _A), ("6a", _B)),
    *(("6b", _C), ("6c", _C), ("6d", _C), ("6e", _C)),
    *(("7a", _D), ("7b", _E), ("7c", _E)),
]


def _inception(network: Network, path: list[str]) -> str:
    """Conv2d_NAME, Mixed_NAME.BRANCH and AuxLogits, each convolution with a .conv and a .bn."""
    if len(network.stages) != len(INCEPTION_BLOCKS):
        raise ValueError(
            f"{network.arch.name}: torchvision names {len(INCEPTION_BLOCKS)} Inception blocks, "
            f"got {len(network.stages)}"
        )
    kinds = ("conv", "bn")
    match path:
        case ["stem", block, part]:
            return f"Conv2d_{INCEPTION_STEM[int(block)]}.{kinds[int(part)]}"
        case ["stages", block, "branches", branch, layer, *split, part]:
            mixed, branches = INCEPTION_BLOCKS[int(block)]
            name = branches[int(branch)][int(layer)] + ("" if not split else "ab"[int(split[1])])
            return f"Mixed_{mixed}.{name}.{kinds[int(part)]}"
        case ["auxiliary", _, "rows", row, part]:
            return f"AuxLogits.conv{int(row) - 1}.{kinds[int(part)]}"
        case ["auxiliary", *_]:
            return "AuxLogits.fc"
        case _:
            return "fc"


# by the beginning of a model's name
NAMINGS: dict[str, Naming] = {
    "alexnet": _flat,
    "efficientnet": _efficientnet,
    "googlenet": _googlenet,
    "inception_v3": _inception,
    "mobilenet_v2": _mobilenet_v2,
    "resne": _resnet,
    "wide_resnet": _resnet,
    "vgg": _flat,
}
