"""The measured cost of a network, for one image in eval mode. The only importer of fvcore.

One "flop" is one multiply-add, as in the EfficientNet paper. `flops`, the figure of record, is
fvcore's count of the convolution and matrix operators; `fvcore_total` also has batch norm and
pooling; `activations` counts the elements that those operators write (Dollar et al. 2021).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scalesearch.files import cache_root, read_checked, write_checked
from scalesearch.networks.blocks import Network
from scalesearch.networks.blocks.layout import emptied, map_sides
from scalesearch.networks.custom import DECLARED_FREE, CustomModel
from scalesearch.networks.inputs import Flat, example_of, tensors_in
from scalesearch.networks.models import Model, build_model, in_one_line, load_function

# aten operators that multiply matrices: these alone make `flops` and `activations`
COMPUTE = {"_convolution", "addmm", "linear", "matmul", "mm", "bmm", "einsum"}
# aten operators that fvcore has no formula for and that multiply no matrix: free by its
# convention. Any other is an error, for a count that leaves work out silently is wrong.
FREE = {
    *("add", "add_", "sub", "mul", "mul_", "div", "div_", "pow", "mean", "unsqueeze", "pad"),
    *("sigmoid", "silu", "silu_", "hardtanh", "hardtanh_", "tanh", "softmax", "bernoulli_"),
    *("gelu", "leaky_relu", "leaky_relu_", "elu", "elu_", "prelu", "clamp", "exp", "log_softmax"),
    *("hardsigmoid", "hardswish", "hardswish_", "max_pool2d", "avg_pool2d", "sum"),
    *("channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "unflatten"),
}

COUNTING = ("cost.py", "count.py")  # of this folder, beside the blocks
CONVENTION = "multiply-adds of convolutions and matrix products, counted by fvcore"


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-adds, parameters and activations of one forward pass of one image."""

    flops: int
    params: int
    activations: int
    fvcore_total: int


def cost(model: Model) -> Cost:
    """The cost of `model` as fvcore measures it, kept on disk by the key of an arch."""
    if isinstance(model, CustomModel):
        return _custom_cost(replace(model, name=""))
    arch = replace(model, auxiliary=())  # which are there in training only
    path = cost_cache() / f"{arch.key}.json"
    if (known := read_checked(path)) is not None:
        return Cost(**known)
    map_sides(arch)  # says which row an input is too small for, where fvcore would not
    with torch.device("meta"):
        network = Network(arch)
    shape = (arch.channels, arch.resolution, arch.resolution)
    measured = measure(emptied(network), shape)
    write_checked(path, asdict(measured))
    return measured


@lru_cache(maxsize=65536)
def _custom_cost(model: CustomModel) -> Cost:
    """The cost of a user's model; not kept on disk, for the code behind it may change."""
    example = example_of(model)
    network, inputs = Flat(build_model(model), example).eval(), tuple(tensors_in(example))
    try:
        return counted(network, inputs, dict(model.operators))
    except UnknownOperators as error:
        shares = time_shares(network, inputs, error.times)
        raise ValueError(
            f"{in_words(error.times, shares)}; say under `operators` in the space what each costs: "
            "free, or python:module:function"
        ) from None


def cost_cache() -> Path:
    """Where costs are kept, apart for each version of torch and of what makes and counts blocks."""
    return cache_root() / f"cost-{code_digest(Path(__file__).parent)}-torch-{torch.__version__}"


@lru_cache(maxsize=1)
def code_digest(networks: Path) -> str:
    """Eight hex digits of the code of blocks and of counting in that folder.

    A block that is edited has another cost, and its archs have their keys still.
    """
    files = [*sorted((networks / "blocks").glob("*.py")), *map(networks.joinpath, COUNTING)]
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()[:8]


def measure(network: nn.Module, shape: tuple[int, int, int]) -> Cost:
    """The cost of any `network` on one image of `shape` (channels, height, width), by fvcore.

    The trace runs on a batch of no images, so that nothing is convolved, and a batch of none is
    told to fvcore's formulas as one image. Raises UnknownOperators.
    """
    # in a thread, whose stack is short: with every operator that is traced all of it is noted
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(counted, network, (torch.zeros(0, *shape),), {}).result()


class UnknownOperators(ValueError):
    """That a network has operators whose cost is not known; how many times it calls each."""

    def __init__(self, times: Mapping[str, int]) -> None:
        super().__init__(in_words(times, {}))
        self.times = times


def in_words(times: Mapping[str, int], shares: Mapping[str, float]) -> str:
    """What is wrong with operators of no known cost: each by name, how often it is called, and its
    share of the time where that is known."""
    told = [
        f"{name} ({n} time{'s' if n > 1 else ''}"
        + (f", {shares[name]:.0%} of the time)" if name in shares else ")")
        for name, n in sorted(times.items())
    ]
    return f"every operator must have a known cost, got {', '.join(told)}"


@torch.no_grad()
def time_shares(
    network: nn.Module, inputs: tuple[torch.Tensor, ...], operators: Iterable[str]
) -> dict[str, float]:
    """The share of a forward pass that each of those operators takes on this machine's CPU, of the
    second pass; without those that the profiler does not know."""
    network(*inputs)
    with torch.autograd.profiler.profile() as seen:
        network(*inputs)
    events = seen.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    found = {event.key: event.cpu_time_total / total for event in events}
    return {name: found[name] for name in operators if name in found}


def counted(
    network: nn.Module, inputs: tuple[torch.Tensor, ...], operators: Mapping[str, str]
) -> Cost:
    """The cost of a `network` on those inputs, as `measure` has it.

    `operators` are declared free, or have the function of their formula. Raises UnknownOperators
    for others that fvcore does not know.
    """
    from fvcore.nn import FlopCountAnalysis

    was_training = network.training
    analysis = FlopCountAnalysis(network.eval(), inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    given = {qualified(name): how for name, how in operators.items()}
    formulas = {name: formula_of(how) for name, how in given.items() if how != DECLARED_FREE}
    compute = COMPUTE | {name.removeprefix("aten::") for name in formulas}
    for operator, formula in {**analysis._op_handles, **formulas}.items():
        name = operator.removeprefix("aten::")
        analysis.set_op_handle(operator, _one_image(formula, name, name in compute))
    with torch.no_grad():
        found: Counter[str] = analysis.by_operator()
    network.train(was_training)

    free = {f"aten::{name}" for name in FREE} | {*given}
    times = analysis.unsupported_ops()
    if unknown := {name: n for name, n in times.items() if name not in free}:
        raise UnknownOperators(unknown)
    activations = found.pop("activations", 0)
    return Cost(
        flops=int(sum(n for name, n in found.items() if name in compute)),
        params=sum(p.numel() for p in network.parameters()),
        activations=int(activations),
        fvcore_total=int(sum(found.values())),
    )


class _OneImage:
    """A traced value that says its batch of none is a batch of one; the rest is the value's."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._value, name)

    def type(self) -> "_OneImage":
        return _OneImage(self._value.type())

    def sizes(self) -> list[int] | None:
        sizes = self._value.sizes()
        return sizes and [1 if i == 0 and n == 0 else n for i, n in enumerate(sizes)]


def qualified(name: str) -> str:
    """An operator's name with that of its library: aten's, torch's own, unless it says another."""
    return name if "::" in name else f"aten::{name}"


def formula_of(reference: str) -> Callable[..., int]:
    """A user's formula in the form of fvcore's: it is called with the shapes of the inputs and of
    the outputs, None for what is no tensor."""
    from fvcore.nn.jit_handles import get_shape

    call = load_function(reference)

    def formula(inputs: list[Any], outputs: list[Any]) -> int:
        shapes = [[get_shape(value) for value in values] for values in (inputs, outputs)]
        try:
            found: Any = call(*shapes)
            flops = int(found)
            if flops < 0:
                raise ValueError(f"{found}")
        except Exception as error:
            raise ValueError(
                f"{reference} called with {shapes} must return multiply-adds, got "
                f"{in_one_line(error)}"
            ) from None
        return flops

    return formula


def _one_image(
    formula: Callable[..., Any], operator: str, multiplies: bool
) -> Callable[..., Counter[str]]:
    """The flop `formula` told one image; the outputs of what multiplies are counted beside."""
    from fvcore.nn.jit_handles import generic_activation_jit

    outputs_written = generic_activation_jit()

    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        inputs, outputs = [_OneImage(v) for v in inputs], [_OneImage(v) for v in outputs]
        flops = formula(inputs, outputs)
        total = Counter({operator: flops.total() if isinstance(flops, Counter) else flops})
        if multiplies:
            total["activations"] = outputs_written(inputs, outputs)
        return total

    return handle
