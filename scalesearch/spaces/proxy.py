"""The baselines of a space: the network itself, and what a proxy makes of it."""

from dataclasses import replace

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.custom import DEFAULT_RESOLUTION, PREFIX, CustomModel, custom_model
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.stride import with_output_stride, with_strides
from scalesearch.spaces.space import Proxy, Space


def baseline(space: Space) -> Arch | CustomModel:
    """The space's own baseline: the network that is to be scaled in the end."""
    if isinstance(space.model, str) and space.model.startswith(PREFIX):
        model = custom_model(space.model, space.resolution or DEFAULT_RESOLUTION)
        return replace(
            model,
            logits=space.train is None,
            example=space.example or "",
            operators=tuple(sorted(space.operators.items())),
        )
    arch = zoo.find(space.model) if isinstance(space.model, str) else space.model
    if space.resolution is None:
        return arch
    return scale_arch(arch, Scale(resolution=space.resolution / arch.resolution))


def proxy_baseline(
    space: Space, proxy: Proxy, channels: int | None, classes: int | None
) -> Arch | CustomModel:
    """The baseline that `proxy` trains, with the data's channels and classes where given."""
    arch = baseline(space)
    if isinstance(arch, CustomModel):
        return custom_proxy(arch, proxy, channels, classes)
    if proxy.divisor is not None:
        arch = replace(arch, rules=replace(arch.rules, divisor=proxy.divisor))
    pixels = proxy.resolution or arch.resolution
    arch = scale_arch(arch, Scale(proxy.depth, proxy.width, pixels / arch.resolution))
    if proxy.stem_stride is not None:
        if not arch.stem:
            raise ValueError(f"stem_stride needs a model with a stem, and {arch.name} has none")
        first = replace(arch.stem[0], stride=proxy.stem_stride)
        arch = replace(arch, stem=(first, *arch.stem[1:]))
    if proxy.strides is not None:
        arch = with_strides(arch, proxy.strides)
    if proxy.output_stride is not None:
        arch = with_output_stride(arch, proxy.output_stride)
    return replace(
        arch,
        # whole images are trained on at the side of evaluation
        train_resolution=arch.train_resolution if proxy.recipe.augment.crops else 0,
        channels=channels or arch.channels,
        classes=classes or arch.classes,
        dropout=arch.dropout if proxy.dropout is None else proxy.dropout,
        stochastic_depth=(
            arch.stochastic_depth if proxy.stochastic_depth is None else proxy.stochastic_depth
        ),
    )


def custom_proxy(
    model: CustomModel, proxy: Proxy, channels: int | None, classes: int | None
) -> CustomModel:
    """A user's model as `proxy` trains it. Raises ValueError for what needs a stage table."""
    table = ("divisor", "stem_stride", "strides", "output_stride", "dropout", "stochastic_depth")
    for key in table:
        if getattr(proxy, key) is not None:
            raise ValueError(f"{key} needs a stage table, and {model.function} is a function")
    growth = proxy.recipe.growth
    if growth.dropout or growth.stochastic_depth:
        raise ValueError(
            f"growth of dropout needs a stage table, and {model.function} is a function"
        )
    return replace(
        model,
        depth=proxy.depth,
        width=proxy.width,
        resolution=proxy.resolution or model.resolution,
        channels=channels or 0,
        classes=classes or 0,
    )
