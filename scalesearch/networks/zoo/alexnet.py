"""AlexNet: Krizhevsky 2014, One weird trick, arXiv:1404.5997 (section 5), as torchvision has it."""

from scalesearch.networks.arch import Arch, Hidden, Rules, Stage

POOL = Stage(block="max_pool", kernel=3, stride=2, padding=0, fixed_depth=True)

ALEXNET = Arch(
    name="alexnet",
    resolution=224,
    stem=(Stage(block="conv_bias", width=64, kernel=11, stride=4, padding=2), POOL),
    stages=(
        Stage(block="conv_bias", width=192, kernel=5),
        POOL,
        Stage(block="conv_bias", width=384),
        Stage(block="conv_bias", width=256, depth=2),
        POOL,
    ),
    pool=6,
    hidden=(Hidden(4096, dropout=0.5), Hidden(4096, dropout=0.5)),
    init="torch",
    rules=Rules(depth="round"),
)

MODELS = {"alexnet": ALEXNET}
