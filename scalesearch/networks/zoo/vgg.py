"""VGG: Simonyan & Zisserman 2014, arXiv:1409.1556 (Table 1: A, B, D, E), and with batch norm."""

from scalesearch.networks.arch import Arch, Hidden, Rules, Stage

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
POOL = Stage(block="max_pool", kernel=2, stride=2, padding=0, fixed_depth=True)


def _vgg(name: str, block: str, depths: tuple[int, ...]) -> Arch:
    return Arch(
        name=name,
        resolution=224,
        stem=(),
        stages=tuple(
            row
            for width, depth in zip(WIDTHS, depths, strict=True)
            for row in (Stage(block=block, width=width, depth=depth), POOL)
        ),
        pool=7,
        hidden=(Hidden(4096), Hidden(4096, dropout=0.5)),
        dropout=0.5,
        init="vgg",
        rules=Rules(depth="round"),
    )


MODELS = {
    name + suffix: _vgg(name + suffix, block, depths)
    for name, depths in DEPTHS.items()
    for suffix, block in (("", "conv_bias"), ("_bn", "conv_bias_norm"))
}
