"""The output stride of a network: pixels of its images to one of its last map. No torch here."""

import math
from collections.abc import Sequence
from dataclasses import replace

from scalesearch.networks.arch import Arch, Stage

MOST_STRIDE = 2**16  # of all rows together; no image has more pixels a side
# without weights: their kernel can follow their stride
POOLS = ("max_pool", "max_pool_ceil", "avg_pool", "subsample")


def total_stride(arch: Arch) -> int:
    """The product of all strides of `arch`, stem to head."""
    rows = [row for _, part in arch.parts for row in part]
    return math.prod(block_stride(row) ** strided_blocks(row) for row in rows)


def block_stride(row: Stage) -> int:
    """The stride of a row's first block; of branches, what those of the first come to."""
    if not row.branches:
        return row.stride
    return math.prod(block_stride(inner) for inner in row.branches[0])


def strided_blocks(row: Stage) -> int:
    """How many blocks of a row stride: the first alone, but every block of branches."""
    return row.depth if row.branches else 1


def with_output_stride(arch: Arch, output_stride: int) -> Arch:
    """`arch` with its earliest strides taken away until their product is `output_stride`.

    A row that loses stride is padded by half its kernel, so that it loses no pixels to its border
    either; a pool whose windows did not overlap keeps them so, and at stride 1 does nothing.
    Parameters stay the same. Raises ValueError where the network's strides do not come to it.
    """
    own = total_stride(arch)
    if own > MOST_STRIDE:
        raise ValueError(f"{arch.name}: strides must come to at most {MOST_STRIDE}, got {own:g}")
    if output_stride < 1 or own % output_stride:
        choices = [str(n) for n in range(1, own + 1) if own % n == 0]
        among = f"{', '.join(choices[:-1])} or {choices[-1]}" if own > 1 else "1"
        raise ValueError(
            f"{arch.name}: output_stride must divide its own of {own}: {among}; got {output_stride}"
        )
    stem, excess = _ease_rows(arch.stem, own // output_stride)
    stages, excess = _ease_rows(arch.stages, excess)
    head, excess = _ease_rows(arch.head, excess)
    if excess > 1:
        raise ValueError(
            f"{arch.name}: output_stride {output_stride} is not reached, for a row of branches "
            "strides in each of its blocks"
        )
    return replace(arch, stem=stem, stages=stages, head=head)


def with_strides(arch: Arch, strides: Sequence[int]) -> Arch:
    """`arch` with those strides in place of its own, of the rows that have one above 1, stem to
    head; rows are padded as `with_output_stride` does.

    Raises ValueError for another number of strides, one that does not divide the row's own, or a
    network that strides in branches.
    """
    parts = {name: list(rows) for name, rows in arch.parts}
    places = [(p, i) for p, rows in parts.items() for i, row in enumerate(rows) if striding(row)]
    own = [block_stride(parts[part][i]) for part, i in places]
    branched = any(parts[part][i].branches for part, i in places)
    fits = len(own) == len(strides) and not any(
        was % new for was, new in zip(own, strides, strict=True)
    )
    if branched or not fits:
        rule = "strides of branches cannot be told one by one" if branched else f"divide {own}"
        raise ValueError(f"{arch.name}: strides must {rule}; got {list(strides)}")
    for (part, i), was, new in zip(places, own, strides, strict=True):
        if new < was:
            parts[part][i] = _ease(parts[part][i], was // new)
    stem, stages, head = (tuple(rows) for rows in parts.values())
    return replace(arch, stem=stem, stages=stages, head=head)


def striding(row: Stage) -> bool:
    """Whether a row leaves fewer pixels."""
    return block_stride(row) > 1


def _ease_rows(rows: tuple[Stage, ...], excess: int) -> tuple[tuple[Stage, ...], int]:
    """The rows with `excess` divided out of their strides, the first first, and what is left."""
    eased = []
    for row in rows:
        own, blocks = block_stride(row), strided_blocks(row)
        shares = [n for n in range(1, own + 1) if own % n == 0 and excess % n**blocks == 0]
        eased.append(_ease(row, shares[-1]) if shares[-1] > 1 else row)
        excess //= shares[-1] ** blocks
    return tuple(eased), excess


def _ease(row: Stage, factor: int) -> Stage:
    """A row whose stride is divided by `factor`."""
    if row.branches:
        branches = tuple(_ease_rows(branch, factor)[0] for branch in row.branches)
        return replace(row, branches=branches)
    stride = row.stride // factor
    if row.block in POOLS and isinstance(row.kernel, int) and row.kernel <= row.stride:
        return replace(row, stride=stride, kernel=stride)
    return replace(row, stride=stride, padding=None)
