"""Layers written as the Python calls that make them."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields

from torch import nn

from scalesearch.networks.blocks import fast
from scalesearch.networks.blocks.layer import Layer
from scalesearch.networks.blocks.layers import Style

WIDTH = 100  # characters of a line


@dataclass(frozen=True, slots=True)
class Name:
    """A variable of the code around a call, in place of a value."""

    id: str


def written(value: object, indent: int, end: str = "", keyword: str = "") -> str:
    """A value as code at that indentation, calls broken over lines as formatters do."""
    space = " " * indent
    line = f"{space}{keyword}{flat(value)}{end}"
    if len(line) <= WIDTH or not isinstance(value, Layer):
        return line
    inner = f"{space}    {', '.join(key + flat(x) for key, x in arguments(value))}"
    if len(inner) > WIDTH:
        inner = "\n".join(written(x, indent + 4, ",", key) for key, x in arguments(value))
    return f"{space}{keyword}{called(value.make)}(\n{inner}\n{space}){end}"


def flat(value: object) -> str:
    """A value as code in one line; fractions to six digits."""
    match value:
        case Layer():
            inner = ", ".join(key + flat(x) for key, x in arguments(value))
            return f"{called(value.make)}({inner})"
        case Style():
            return "style"
        case Name():
            return value.id
        case float():
            return repr(float(f"{value:.6g}"))
        case type():
            return called(value)
        case _:
            return repr(value)


def arguments(layer: Layer) -> Iterator[tuple[str, object]]:
    """What a layer is called with, each with `keyword=` or nothing before it.

    Options that equal their defaults are left out.
    """
    parameters = inspect.signature(layer.make).parameters
    yield from (("", x) for x in layer.arguments)
    for name, x in layer.options.items():
        if name not in parameters or x != parameters[name].default:
            yield f"{name}=", x


def called(make: object) -> str:
    """The name by which code calls a class or function; torch's and our fast ones as `nn.NAME`."""
    name = str(getattr(make, "__qualname__", make))
    return f"nn.{name}" if is_torch(make) else name


def is_torch(make: object) -> bool:
    """Whether torch.nn has the class, by itself or as what a fast one stands for."""
    module, name = getattr(make, "__module__", ""), getattr(make, "__qualname__", "")
    return module == fast.__name__ or getattr(nn, name, None) is make


def style_code(style: Style) -> str:
    """The call that makes a network's style; what equals its default is left out."""
    options = [
        f"{field.name}={value!r}"
        for field in fields(style)[1:]
        if (value := getattr(style, field.name)) != field.default
    ]
    return f"Style({', '.join([called(style.activation), *options])})"


def uses(value: object) -> Iterator[object]:
    """A layer's class and all that stands in its arguments, at any depth."""
    yield value
    if isinstance(value, Layer):
        yield value.make
        for x in (*value.arguments, *value.options.values()):
            yield from uses(x)
