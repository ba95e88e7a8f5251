"""GoogLeNet: Szegedy et al. 2014, arXiv:1409.4842 (Table 1), as torchvision has it.

That is with batch norm, and with 3 x 3 where the paper's third branch is 5 x 5.
"""

from scalesearch.networks.arch import Arch, Auxiliary, Hidden, Rules, Stage


def _conv(width: int, kernel: int = 1, stride: int = 1) -> Stage:
    return Stage(block="conv", width=width, kernel=kernel, stride=stride)


def _pool(kernel: int) -> Stage:
    return Stage(block="max_pool_ceil", kernel=kernel, stride=2, padding=0, fixed_depth=True)


def _inception(one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> Stage:
    return Stage(
        block="branches",
        branches=(
            (_conv(one),),
            (_conv(three[0]), _conv(three[1], 3)),
            (_conv(five[0]), _conv(five[1], 3)),
            (Stage(block="max_pool", kernel=3), _conv(pooled)),
        ),
    )


def _auxiliary(after: int) -> Auxiliary:
    rows = (Stage(block="adaptive_pool", kernel=4), _conv(128))
    return Auxiliary(
        after=after, weight=0.3, rows=rows, pool=4, hidden=(Hidden(1024),), dropout=0.7
    )


GOOGLENET = Arch(
    name="googlenet",
    resolution=224,
    stem=(_conv(64, 7, 2), _pool(3), _conv(64), _conv(192, 3), _pool(3)),
    stages=(
        _inception(64, (96, 128), (16, 32), 32),  # 3a
        _inception(128, (128, 192), (32, 96), 64),
        _pool(3),
        _inception(192, (96, 208), (16, 48), 64),  # 4a
        _inception(160, (112, 224), (24, 64), 64),
        _inception(128, (128, 256), (24, 64), 64),
        _inception(112, (144, 288), (32, 64), 64),
        _inception(256, (160, 320), (32, 128), 128),
        _pool(2),
        _inception(256, (160, 320), (32, 128), 128),  # 5a
        _inception(384, (192, 384), (48, 128), 128),
    ),
    auxiliary=(_auxiliary(4), _auxiliary(7)),
    init="googlenet",
    norm_eps=1e-3,
    dropout=0.2,
    rules=Rules(depth="round"),
)

MODELS = {"googlenet": GOOGLENET}
