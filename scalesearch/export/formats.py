"""The four formats: each writes its files into a folder and checks what it wrote."""

import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from scalesearch.export.check import BATCHES, Check, compare, example_images
from scalesearch.export.python import class_name, python_source
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import Network
from scalesearch.networks.files import dump_model, read_model
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.weights import (
    load_weights,
    read_weights,
    torchvision_state,
    write_weights,
)

SEED = 0  # of random weights
MAX_PROTOBUF = 1_900_000_000  # bytes; larger networks keep their weights in a file beside


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be exported: a model, its network in eval mode, its graph once it is asked for.

    `names` says whose names a safetensors file has; `notes` go into files that can hold some.
    """

    model: Model
    network: nn.Module
    graph: Callable[[], torch.export.ExportedProgram]
    images: Tensor
    names: str
    notes: dict[str, str]
    heading: tuple[str, ...]


def make_job(
    model: Model, network: nn.Module, names: str, notes: dict[str, str], heading: tuple[str, ...]
) -> Job:
    """The job of exporting `network`, in eval mode; its graph is traced once, for any batch."""
    images = example_images(model.channels, model.resolution)

    @cache
    def graph() -> torch.export.ExportedProgram:
        batch = torch.export.Dim("batch", min=1)
        # with two images: sizes 0 and 1 would be taken for constants
        with quiet():
            return torch.export.export(
                network, (images[:2],), dynamic_shapes=({0: batch},), strict=False
            )

    return Job(model, network, graph, images, names, notes, heading)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters' warnings, which are about their own insides, from the terminal."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def write_onnx(job: Job, path: Path) -> tuple[list[Path], Check]:
    """An ONNX file with a dynamic batch, held to the network by onnxruntime."""
    import onnxruntime

    with quiet():
        program = torch.onnx.export(
            job.graph(),
            input_names=["images"],
            output_names=["logits"],
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(job.notes)
        apart = sum(p.numel() * p.element_size() for p in job.network.parameters()) > MAX_PROTOBUF
        program.save(path, external_data=apart)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(logits)

    check = compare(f"onnxruntime {onnxruntime.__version__}", job.network, run, job.images)
    data = path.with_name(f"{path.name}.data")
    return [path, *([data] if data.exists() else [])], check


def write_pt2(job: Job, path: Path) -> tuple[list[Path], Check]:
    """A program of torch.export, reloaded: to the bit what was saved, and held to the network."""
    program = job.graph()
    with quiet():
        torch.export.save(program, path)
        reloaded = torch.export.load(path)
    saved, found = program.module(), reloaded.module()
    for n in BATCHES:
        with torch.no_grad():
            if not torch.equal(saved(job.images[:n]), found(job.images[:n])):
                raise ValueError(f"{path.name} must be reloaded as saved, and is not")
    return [path], compare("the reloaded program", job.network, found, job.images)


def write_safetensors(job: Job, path: Path) -> tuple[list[Path], Check]:
    """Weights as safetensors and, by our own names, the model's YAML, which `build` reads."""
    if job.names == "torchvision":
        assert isinstance(job.network, Network)
        write_weights(path, torchvision_state(job.network), job.notes)
        files, model = [path], job.model
    else:
        write_weights(path, job.network.state_dict(), job.notes)
        config = path.with_suffix(".yaml")
        config.write_text(dump_model(job.model), encoding="utf-8")
        files, model = [path, config], read_model(config)
    again = build_model(model).eval()
    load_weights(again, read_weights(path), str(path.name))
    state = job.network.state_dict()
    for name, value in again.state_dict().items():
        if not torch.equal(value, state[name]):
            raise ValueError(f"{path.name} must be read as written, and {name} is not")
    return files, compare("the network read again", job.network, again, job.images)


def write_python(job: Job, path: Path) -> tuple[list[Path], Check]:
    """A Python file of torch alone: same state dict, same logits, same weights from a seed."""
    assert isinstance(job.model, Arch)
    path.write_text(python_source(job.model, job.heading), encoding="utf-8")
    network = imported(path, class_name(job.model))
    again = network()
    try:
        again.load_state_dict(job.network.state_dict())
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path.name} must take the network's weights: {said}") from None
    return [path], compare("the file, imported", job.network, again.eval(), job.images)


def imported(path: Path, name: str) -> Callable[[], nn.Module]:
    """The class of that name in a Python file that was written just now."""
    spec = importlib.util.spec_from_file_location(f"scalesearch_exported_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    found: Callable[[], nn.Module] = getattr(module, name)
    return found


Writer = Callable[[Job, Path], tuple[list[Path], Check]]
# suffix, what it needs beside the core, how it is written
FORMATS: dict[str, tuple[str, tuple[str, ...], Writer]] = {
    "onnx": (".onnx", ("onnx", "onnxscript", "onnxruntime"), write_onnx),
    "pt2": (".pt2", (), write_pt2),
    "safetensors": (".safetensors", (), write_safetensors),
    "python": (".py", (), write_python),
}
