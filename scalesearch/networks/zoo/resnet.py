"""ResNet: He et al. 2015, arXiv:1512.03385 (Table 1), stride in the 3 x 3 as torchvision has it."""

from scalesearch.networks.arch import Arch, Rules, Stage


def _resnet(
    name: str,
    block: str,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    expand: float = 1.0,
    groups: int = 1,
) -> Arch:
    return Arch(
        name=name,
        resolution=224,
        stem=(
            Stage(block="conv", width=64, kernel=7, stride=2),
            Stage(block="max_pool", stride=2),
        ),
        stages=tuple(
            Stage(
                block=block, width=width, depth=depth, stride=stride, expand=expand, groups=groups
            )
            for width, depth, stride in zip(widths, depths, (1, 2, 2, 2), strict=True)
        ),
        init="resnet",
        rules=Rules(depth="round"),
    )


NARROW = (64, 128, 256, 512)
WIDE = (256, 512, 1024, 2048)
FIFTY = (3, 4, 6, 3)
HUNDRED = (3, 4, 23, 3)

# a bottleneck's inner width is `expand` of its output: a quarter, and twice that in the wide ones
ARCHS = (
    _resnet("resnet18", "basic", NARROW, (2, 2, 2, 2)),
    _resnet("resnet34", "basic", NARROW, FIFTY),
    _resnet("resnet50", "bottleneck", WIDE, FIFTY, 0.25),
    _resnet("resnet101", "bottleneck", WIDE, HUNDRED, 0.25),
    _resnet("resnet152", "bottleneck", WIDE, (3, 8, 36, 3), 0.25),
    # Zagoruyko & Komodakis 2016, arXiv:1605.07146
    _resnet("wide_resnet50_2", "bottleneck", WIDE, FIFTY, 0.5),
    _resnet("wide_resnet101_2", "bottleneck", WIDE, HUNDRED, 0.5),
    # ResNeXt: Xie et al. 2016, arXiv:1611.05431
    _resnet("resnext50_32x4d", "bottleneck", WIDE, FIFTY, 0.5, groups=32),
)
MODELS = {arch.name: arch for arch in ARCHS}
