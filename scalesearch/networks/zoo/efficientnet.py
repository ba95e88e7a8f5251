"""EfficientNet: Tan & Le 2019, arXiv:1905.11946 (Table 1), and its published scale-ups."""

from dataclasses import replace

from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.scaling import Coefficients, Scale, scale_arch


def _mbconv(width: int, depth: int, kernel: int, stride: int, expand: float) -> Stage:
    return Stage(
        block="mbconv",
        width=width,
        depth=depth,
        kernel=kernel,
        stride=stride,
        expand=expand,
        squeeze=0.25,
    )


B0 = Arch(
    name="efficientnet_b0",
    resolution=224,
    stem=(Stage(block="conv", width=32, stride=2),),
    stages=(
        # width, depth, kernel, stride, expand
        _mbconv(16, 1, 3, 1, 1),
        _mbconv(24, 2, 3, 2, 6),
        _mbconv(40, 2, 5, 2, 6),
        _mbconv(80, 3, 3, 2, 6),
        _mbconv(112, 3, 5, 1, 6),
        _mbconv(192, 4, 5, 2, 6),
        _mbconv(320, 1, 3, 1, 6),
    ),
    head=(Stage(block="conv", width=1280, kernel=1),),
    activation="silu",
    dropout=0.2,
    stochastic_depth=0.2,
)

# section 3.3, found by the paper's grid search on B0 at phi = 1
COEFFICIENTS = Coefficients(1.2, 1.1, 1.15)

# tensorflow/tpu models/official/efficientnet/efficientnet_builder.py; phi never appears there
COEFFICIENT_TABLE = {
    # depth, width, resolution in pixels, dropout
    "efficientnet_b0": (1.0, 1.0, 224, 0.2),
    "efficientnet_b1": (1.1, 1.0, 240, 0.2),
    "efficientnet_b2": (1.2, 1.1, 260, 0.3),
    "efficientnet_b3": (1.4, 1.2, 300, 0.3),
    "efficientnet_b4": (1.8, 1.4, 380, 0.4),
    "efficientnet_b5": (2.2, 1.6, 456, 0.4),
    "efficientnet_b6": (2.6, 1.8, 528, 0.5),
    "efficientnet_b7": (3.1, 2.0, 600, 0.5),
}
LATER = {  # AdvProp and NoisyStudent, in the same file
    "efficientnet_b8": (3.6, 2.2, 672, 0.5),
    "efficientnet_l2": (5.3, 4.3, 800, 0.5),
}


def _published(name: str, depth: float, width: float, px: int, dropout: float) -> Arch:
    """B0 scaled; from B5 on with the TPU code's batch norm, as torchvision has it."""
    arch = scale_arch(B0, Scale(depth, width, px / B0.resolution), name)
    if name >= "efficientnet_b5":  # l2 too
        arch = replace(arch, norm_eps=1e-3, norm_momentum=0.01)
    return replace(arch, dropout=dropout)


MODELS = {name: _published(name, *row) for name, row in (COEFFICIENT_TABLE | LATER).items()}
