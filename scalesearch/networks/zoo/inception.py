"""Inception v3: Szegedy et al. 2015, arXiv:1512.00567 (Table 1), as torchvision has it."""

from scalesearch.networks.arch import Arch, Auxiliary, Rules, Stage

Rows = tuple[Stage, ...]
AVERAGE = Stage(block="avg_pool", kernel=3)
POOL = Stage(block="max_pool", kernel=3, stride=2, padding=0, fixed_depth=True)


def _conv(width: int, kernel: int | tuple[int, int] = 1) -> Stage:
    return Stage(block="conv", width=width, kernel=kernel)


def _cut(width: int, kernel: int = 3, stride: int = 2) -> Stage:
    return Stage(block="conv", width=width, kernel=kernel, stride=stride, padding=0)


def _branches(*branches: Rows, depth: int = 1, fixed_depth: bool = False) -> Stage:
    return Stage(block="branches", branches=branches, depth=depth, fixed_depth=fixed_depth)


def _a(pooled: int, depth: int) -> Stage:
    triple = (_conv(64), _conv(96, 3), _conv(96, 3))
    return _branches(
        (_conv(64),), (_conv(48), _conv(64, 5)), triple, (AVERAGE, _conv(pooled)), depth=depth
    )


def _c(width: int, depth: int) -> Stage:
    row, column = _conv(width, (1, 7)), _conv(width, (7, 1))
    once = (_conv(width), row, _conv(192, (7, 1)))
    twice = (_conv(width), column, row, column, _conv(192, (1, 7)))
    return _branches((_conv(192),), once, twice, (AVERAGE, _conv(192)), depth=depth)


SPLIT = _branches((_conv(384, (1, 3)),), (_conv(384, (3, 1)),))
INCEPTION_V3 = Arch(
    name="inception_v3",
    resolution=299,
    stem=(_cut(32), _cut(32, stride=1), _conv(64, 3), POOL, _conv(80), _cut(192, stride=1), POOL),
    stages=(
        _a(pooled=32, depth=1),
        _a(pooled=64, depth=2),
        _branches((_cut(384),), (_conv(64), _conv(96, 3), _cut(96)), (POOL,), fixed_depth=True),
        _c(128, depth=1),
        _c(160, depth=2),
        _c(192, depth=1),
        _branches(
            (_conv(192), _cut(320)),
            (_conv(192), _conv(192, (1, 7)), _conv(192, (7, 1)), _cut(192)),
            (POOL,),
            fixed_depth=True,
        ),
        _branches(
            (_conv(320),),
            (_conv(384), SPLIT),
            (_conv(448), _conv(384, 3), SPLIT),
            (AVERAGE, _conv(192)),
            depth=2,
        ),
    ),
    auxiliary=(
        Auxiliary(
            after=6,
            weight=0.4,
            rows=(Stage(block="even_pool", kernel=5), _conv(128), _cut(768, 5, 1)),
        ),
    ),
    init="inception",
    norm_eps=1e-3,
    dropout=0.5,
    rules=Rules(depth="round"),
)

MODELS = {"inception_v3": INCEPTION_V3}
