"""LeNet-5: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning (section II.B, Table I).

60,000 trainable parameters: 156 (C1), 12 (S2), 1,516 (C3), 32 (S4), 48,120 (C5), 10,164 (F6); the
output layer's codes are fixed.
"""

from scalesearch.networks.arch import Arch, Hidden, Rules, Stage


def _conv(block: str, width: int) -> Stage:
    return Stage(block=block, width=width, kernel=5, padding=0)


SUBSAMPLE = Stage(block="subsample", kernel=2, stride=2, fixed_depth=True)

LENET5 = Arch(
    name="lenet5",
    resolution=32,
    stem=(_conv("conv_bias", 6), SUBSAMPLE),
    stages=(_conv("sparse_conv", 16), SUBSAMPLE, _conv("conv_bias", 120)),
    hidden=(Hidden(84),),
    classifier="rbf",
    activation="tanh",
    init="lenet",
    channels=1,
    classes=10,
    rules=Rules(
        fixed=(
            ("depth", "each of its layers makes a map that only the next one fits"),
            ("width", "its sparse table joins the 6 maps of S2 to the 16 of C3 one by one"),
        )
    ),
)

MODELS = {"lenet5": LENET5}
