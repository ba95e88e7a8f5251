"""MobileNetV2: Sandler et al. 2018, arXiv:1801.04381 (Table 2)."""

from scalesearch.networks.arch import Arch, Rules, Stage


def _inverted(width: int, depth: int, stride: int, expand: float) -> Stage:
    return Stage(block="mbconv", width=width, depth=depth, stride=stride, expand=expand)


BASE = Arch(
    name="mobilenet_v2",
    resolution=224,
    stem=(Stage(block="conv", width=32, stride=2),),
    stages=(
        # width, depth, stride, expand
        _inverted(16, 1, 1, 1),
        _inverted(24, 2, 2, 6),
        _inverted(32, 3, 2, 6),
        _inverted(64, 4, 2, 6),
        _inverted(96, 3, 1, 6),
        _inverted(160, 3, 2, 6),
        _inverted(320, 1, 1, 6),
    ),
    head=(Stage(block="conv", width=1280, kernel=1),),
    activation="relu6",
    init="vgg",
    dropout=0.2,
    rules=Rules(widen_head_only=True),
)

MODELS = {"mobilenet_v2": BASE}
