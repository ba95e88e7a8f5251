"""MobileNetV1: Howard et al. 2017, arXiv:1704.04861 (Table 1)."""

from scalesearch.networks.arch import Arch, Stage

BASE = Arch(
    name="mobilenet_v1",
    resolution=224,
    stem=(Stage(block="conv", width=32, stride=2),),
    stages=(
        Stage(block="separable", width=64, depth=1, stride=1),
        Stage(block="separable", width=128, depth=2, stride=2),
        Stage(block="separable", width=256, depth=2, stride=2),
        Stage(block="separable", width=512, depth=6, stride=2),
        Stage(block="separable", width=1024, depth=2, stride=2),
    ),
    init="vgg",
)

MODELS = {"mobilenet_v1": BASE}
