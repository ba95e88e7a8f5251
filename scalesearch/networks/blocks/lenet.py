"""What only LeNet-5 has: LeCun, Bottou, Bengio & Haffner 1998, sections II.B and III.C.

Exported word for word, as layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scalesearch.networks.blocks.layers import Style

# Table I: the maps of S2 that each map of C3 sees; 60 of 96 pairs are joined
SPARSE_C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class SparseConv(nn.Module):
    """Layer C3: each of 16 maps is convolved from its own few of 6 (SPARSE_C3), with bias."""

    def __init__(
        self,
        style: Style,
        kernel: int | tuple[int, int],
        stride: int,
        padding: int | tuple[int, int],
    ) -> None:
        super().__init__()
        self.inputs: list[list[int]] = []  # as many maps seen, one grouped convolution
        self.convs = nn.ModuleList()
        for seen in sorted({len(maps) for maps in SPARSE_C3}):
            groups = [maps for maps in SPARSE_C3 if len(maps) == seen]
            n = len(groups)
            self.inputs.append([i for maps in groups for i in maps])
            self.convs.append(nn.Conv2d(n * seen, n, kernel, stride, padding, groups=n))
        self.activation = style.activation()

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            conv(torch.cat([x[:, i : i + 1] for i in seen], 1))
            for seen, conv in zip(self.inputs, self.convs, strict=True)
        ]
        out: Tensor = self.activation(torch.cat(parts, 1))
        return out


class Subsample(nn.Module):
    """Layers S2 and S4: sums of kernel by kernel pixels, times a weight, plus a bias, per map."""

    def __init__(self, style: Style, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))
        self.activation = style.activation()

    def forward(self, x: Tensor) -> Tensor:
        sums = F.avg_pool2d(x, self.kernel, self.stride) * self.kernel**2
        out: Tensor = self.activation(sums * self.weight + self.bias)
        return out


class RadialBasis(nn.Module):
    """The output layer: minus the squared distance to each class's code of fixed +1 and -1.

    The paper draws its codes by hand, or leaves them to chance; here class i has row i + 1 of
    Hadamard's matrix, (-1)^(number of ones in i + 1 and j), so that codes are far apart. In whole
    precision under autocast, too: a distance is a small difference of large sums.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        codes = [
            [(-1.0) ** ((i + 1) & j).bit_count() for j in range(width)] for i in range(classes)
        ]
        self.register_buffer("codes", torch.tensor(codes))
        self.codes: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            with torch.autocast(x.device.type, enabled=False):
                return self.forward(x.float())
        squares = x.pow(2).sum(1, keepdim=True) + self.codes.shape[1]
        return 2 * F.linear(x, self.codes) - squares
