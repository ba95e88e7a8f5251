"""ResNet: He et al. 2015, arXiv:1512.03385 (Table 1), stride in the 3 x 3 as torchvision has it."""

from scalesearch.arch import Arch, Rules, Stage


def _resnet(name: str, block: str, widths: tuple[int, ...], depths: tuple[int, ...]) -> Arch:
    expand = 0.25 if block == "bottleneck" else 1.0
    return Arch(
        name=name,
        resolution=224,
        stem=(
            Stage(block="conv", width=64, kernel=7, stride=2),
            Stage(block="max_pool", width=64, stride=2),
        ),
        stages=tuple(
            Stage(block=block, width=width, depth=depth, stride=stride, expand=expand)
            for width, depth, stride in zip(widths, depths, (1, 2, 2, 2), strict=True)
        ),
        rules=Rules(depth="round"),
    )


NARROW = (64, 128, 256, 512)
WIDE = (256, 512, 1024, 2048)

MODELS = {
    "resnet18": _resnet("resnet18", "basic", NARROW, (2, 2, 2, 2)),
    "resnet34": _resnet("resnet34", "basic", NARROW, (3, 4, 6, 3)),
    "resnet50": _resnet("resnet50", "bottleneck", WIDE, (3, 4, 6, 3)),
    "resnet101": _resnet("resnet101", "bottleneck", WIDE, (3, 4, 23, 3)),
    "resnet152": _resnet("resnet152", "bottleneck", WIDE, (3, 8, 36, 3)),
}
