"""What is wrong with a proxy, said before anything is trained, with the key that mends it."""

from collections.abc import Sequence

from scalesearch.networks.arch import Arch, InputTooSmall
from scalesearch.networks.models import Model
from scalesearch.networks.stride import total_stride, with_output_stride
from scalesearch.plans.look import NARROW, TINY, as_trained, block_sides, look
from scalesearch.spaces.space import Space


def remarks(models: Sequence[Model], images: int | None) -> tuple[str, ...]:
    """What is wrong with a proxy, whose baseline and candidates are `models` in that order.

    `images` is the side of the data's own, pixels; None where it is not known.
    """
    smallest = min(models, key=lambda model: model.resolution)
    said = []
    if look(smallest).narrow_blocks and not depth_is_fixed(smallest):
        said.append(of_maps(smallest))
    if images is not None and max(model.resolution for model in models) > images:
        said.append(of_pixels([model.resolution for model in models], images))
    return tuple(said)


def without_data(space: Space, classes: int | None) -> tuple[str, ...]:
    """What to say of a plan for no data, the number of whose `classes` is not known."""
    if classes is not None or space.train is not None:
        return ()
    return (
        "no data are named: classes and channels are the model's own, and the side of the images "
        "is not known; data: yours",
    )


def depth_is_fixed(model: Model) -> bool:
    """Whether depth has no meaning for the model, so that no map is too small to show it."""
    return isinstance(model, Arch) and "depth" in dict(model.rules.fixed)


def of_maps(model: Model) -> str:
    """What to say of maps that are too small."""
    found = look(model)
    tiny = found.tiny_blocks > 0
    n = found.tiny_blocks if tiny else found.narrow_blocks
    of = f"{found.blocks} {'blocks' if isinstance(model, Arch) else 'convolutions'}"
    verb, most = "work" if n > 1 else "works", f"{TINY} px or less" if tiny else f"{NARROW - 1} px"
    stride = mending_stride(model, TINY + 1 if tiny else NARROW)
    key = f"output_stride: {stride}" if stride else "use larger images: resolution"
    return f"{n} of {of} {verb} on maps of {most}: depth cannot show; {key}"


def mending_stride(model: Model, least: int) -> int | None:
    """The largest output stride that leaves every block of the stages `least` pixels a side."""
    arch = as_trained(model)
    if not isinstance(arch, Arch):
        return None
    own = total_stride(arch)
    for stride in [n for n in range(own, 0, -1) if own % n == 0]:
        try:
            if min(block_sides(with_output_stride(arch, stride))) >= least:
                return stride
        except InputTooSmall:
            continue
    return None


def of_pixels(resolutions: Sequence[int], images: int) -> str:
    """What to say of networks that ask for more pixels than the images have; the first is 1x."""
    own, *others = resolutions
    if own > images:
        who, most, key = "the baseline asks for", own, images
    else:
        beyond, most = sum(pixels > images for pixels in others), max(others)
        who = f"{beyond} of {len(others)} candidates ask for up to"
        key = images * own // most
    return (
        f"{who} {most} px and the images have {images}: enlarged they show no more; "
        f"resolution: {key}"
    )
