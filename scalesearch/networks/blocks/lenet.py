"""What only LeNet-5 has: LeCun, Bottou, Bengio & Haffner 1998, sections II.B and III.C."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, linear

from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks.layers import ACTIVATIONS, square

# Table I: the maps of S2 that each map of C3 sees; 60 of 96 pairs are joined
SPARSE_C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class SparseConv(nn.Module):
    """Layer C3: each of 16 maps is convolved from its own few of 6 (SPARSE_C3), with bias."""

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        if (in_width, stage.width) != (6, 16):
            raise ValueError(f"sparse_conv must join 6 maps to 16, got {in_width} to {stage.width}")
        self.inputs: list[list[int]] = []  # as many maps seen, one grouped convolution
        self.convs = nn.ModuleList()
        for seen in sorted({len(maps) for maps in SPARSE_C3}):
            groups = [maps for maps in SPARSE_C3 if len(maps) == seen]
            self.inputs.append([i for maps in groups for i in maps])
            pad = stage.kernel_padding
            wide = len(groups) * seen
            self.convs.append(
                nn.Conv2d(wide, len(groups), stage.kernel, stride, pad, groups=len(groups))
            )
        self.activation = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            conv(torch.cat([x[:, i : i + 1] for i in seen], 1))
            for seen, conv in zip(self.inputs, self.convs, strict=True)
        ]
        out: Tensor = self.activation(torch.cat(parts, 1))
        return out


class Subsample(nn.Module):
    """Layers S2 and S4: sums of kernel by kernel pixels, times a weight, plus a bias, per map."""

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        self.kernel, self.stride = square(stage), stride
        self.weight = nn.Parameter(torch.ones(in_width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(in_width, 1, 1))
        self.activation = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        sums = avg_pool2d(x, self.kernel, self.stride) * self.kernel**2
        out: Tensor = self.activation(sums * self.weight + self.bias)
        return out


class RadialBasis(nn.Module):
    """The output layer: minus the squared distance to each class's code of fixed +1 and -1.

    The paper draws its codes by hand, or leaves them to chance; here class i has row i + 1 of
    Hadamard's matrix, (-1)^(number of ones in i + 1 and j), so that codes are far apart.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        codes = [
            [(-1.0) ** ((i + 1) & j).bit_count() for j in range(width)] for i in range(classes)
        ]
        self.register_buffer("codes", torch.tensor(codes))
        self.codes: Tensor

    def forward(self, x: Tensor) -> Tensor:
        squares = x.pow(2).sum(1, keepdim=True) + self.codes.shape[1]
        return 2 * linear(x, self.codes) - squares
