"""EfficientNetV2: Tan & Le 2021, arXiv:2104.00298 (Table 4); L, XL and B0 from google/automl.

Sizes are not scaled from one another but B1..B3 from B0, with google/automl's rounding, which
never gives back a divisor (its effnetv2_configs.py and effnetv2_model.py).
"""

from dataclasses import replace

from scalesearch.networks.arch import Arch, Rules, Stage
from scalesearch.networks.scaling import Scale, scale_arch

Row = tuple[int, int]


def _arch(name: str, stem: int, rows: tuple[Row, ...], shape: tuple[int, int], drop: float) -> Arch:
    """Rows are (width, depth): three fused of expansion 1, 4, 4, then one of 4 and others of 6."""
    expand = (1, 4, 4, 4, 6, 6, 6)
    stride = (1, 2, 2, 2, 1, 2, 1)
    return Arch(
        name=name,
        resolution=shape[1],
        train_resolution=shape[0],
        stem=(Stage(block="conv", width=stem, stride=2),),
        stages=tuple(
            Stage(
                block="fused_mbconv" if i < 3 else "mbconv",
                width=width,
                depth=depth,
                stride=stride[i],
                expand=expand[i],
                squeeze=0 if i < 3 else 0.25,
            )
            for i, (width, depth) in enumerate(rows)
        ),
        head=(Stage(block="conv", width=1280, kernel=1),),
        activation="silu",
        norm_eps=1e-3,
        dropout=drop,
        stochastic_depth=0.2,
        rules=Rules(max_loss=1.0),
    )


B = ((16, 1), (32, 2), (48, 2), (96, 3), (112, 5), (192, 8))
S = ((24, 2), (48, 4), (64, 4), (128, 6), (160, 9), (256, 15))
M = ((24, 3), (48, 5), (80, 5), (160, 7), (176, 14), (304, 18), (512, 5))
L = ((32, 4), (64, 7), (96, 7), (192, 10), (224, 19), (384, 25), (640, 7))
XL = ((32, 4), (64, 8), (96, 8), (192, 16), (256, 24), (512, 32), (640, 8))
B0 = _arch("efficientnet_v2_b0", 32, B, (192, 224), 0.2)
SIZES = (
    _arch("efficientnet_v2_s", 24, S, (300, 384), 0.2),
    _arch("efficientnet_v2_m", 24, M, (384, 480), 0.3),
    _arch("efficientnet_v2_l", 32, L, (384, 480), 0.4),
    _arch("efficientnet_v2_xl", 32, XL, (384, 512), 0.4),
    B0,
    *(
        replace(
            scale_arch(B0, Scale(depth, width), f"efficientnet_v2_{name}"),
            train_resolution=train_px,
            resolution=px,
            dropout=drop,
        )
        for name, depth, width, train_px, px, drop in (
            ("b1", 1.1, 1.0, 192, 240, 0.2),
            ("b2", 1.2, 1.1, 208, 260, 0.3),
            ("b3", 1.4, 1.2, 240, 300, 0.3),
        )
    ),
)
MODELS = {arch.name: arch for arch in SIZES}
