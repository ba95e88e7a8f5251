"""What a trained network is worth on images: one with its weights, or an exported ONNX file."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scalesearch.data import DataSet, absolute, load, resized
from scalesearch.errors import ParameterError, check_choice, check_range
from scalesearch.families.cards import find_card
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.files import find_model, model_file, weights_beside
from scalesearch.networks.models import build_model
from scalesearch.networks.weights import load_weights, read_weights
from scalesearch.trials.step import normaliser
from scalesearch.trials.train import on_a_cpu

SPLITS = ("val", "test")
BINS = 15  # of confidences, for the calibration error
TOP = 5
Logits = Callable[[Tensor], Tensor]  # of normalised images (n, channels, px, px) -> (n, classes)
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate on what; what is None is the card's that lies beside the weights.

    `model` is a YAML file, a name of the zoo beside `weights`, or an ONNX file. `examples` and
    `held_out` are the training images and those held out, as in training: the split is by them.
    """

    model: str
    weights: Path | None = None
    data: str | None = None
    split: str = "val"
    examples: int | None = None
    held_out: int | None = None

    def __post_init__(self) -> None:
        """Raises ParameterError for a number out of range."""
        check_range("examples", self.examples, 1)
        check_range("held_out", self.held_out, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class: how many images, how many of them are recognised, and of what it is said."""

    name: str
    images: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A network on a split of images.

    `balanced_accuracy` is the mean recall of the classes that have images. `calibration_error` is
    the expected one (Guo et al. 2017, arXiv:1706.04599), over 15 bins of confidence; `confusion`
    has a row for each true class, a column for each predicted one.
    """

    model: str
    weights: str
    data: str
    split: str
    images: int
    resolution: int
    accuracy: float
    balanced_accuracy: float
    top5: float
    loss: float
    calibration_error: float
    images_per_second: float
    classes: tuple[ClassRow, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """A network ready to be evaluated: its logits, and what its weights' card says of images."""

    name: str
    weights: str
    logits: Logits
    resolution: int
    data: str | None
    examples: int | None
    held_out: int | None


def evaluate(options: EvaluateOptions) -> Evaluated:
    """The accuracy of a network on images that it was not trained on, and all that goes with it.

    Raises ValueError where the model has no weights, or the images are none for it.
    """
    check_choice("split", options.split, SPLITS)
    found = ready_onnx(options) if options.model.endswith(".onnx") else ready_model(options)
    source = options.data or found.data
    if source is None:
        raise ParameterError(
            "data", f"must be given, for {options.model} has no card that names it"
        )
    data = load(
        absolute(source),
        train_examples=options.examples or found.examples,
        val_examples=options.held_out or found.held_out or 5000,
    )
    return measure(found, data, source, options.split)


def ready_model(options: EvaluateOptions) -> Ready:
    """A model of a YAML file or of the zoo with its weights. Raises ValueError for none."""
    path = model_file(options.model)
    model = find_model(options.model)
    weights = options.weights or (weights_beside(path) if path else None)
    if weights is None:
        raise ParameterError("weights", f"must be given, for {options.model} has none beside it")
    if isinstance(model, CustomModel) and not model.logits:
        raise ParameterError(
            "model",
            f"must give logits, which {model.function} is not to give: its own training tells what "
            "it is worth",
        )
    network = build_model(model)
    load_weights(network, read_weights(weights), str(weights))
    card = find_card(weights)
    return Ready(
        model.name,
        str(weights),
        network.eval(),
        model.resolution,
        card.data if card else None,
        card.examples_wanted if card else None,
        card.held_out_wanted if card else None,
    )


def ready_onnx(options: EvaluateOptions) -> Ready:
    """An exported ONNX file, run by onnxruntime on one thread."""
    try:
        import onnxruntime
    except ImportError:
        raise ParameterError(
            "model", "an ONNX file needs onnxruntime: pip install 'scalesearch[export]'"
        ) from None
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = 1
    chosen.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            options.model, chosen, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of a class for each fault, which only onnxruntime's insides name
        raise ValueError(f"{options.model} must be an ONNX file: {str(error)[:200]}") from None
    images, notes = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
    trained = trained_on(notes.get("trained_on", ""))

    def run(batch: Tensor) -> Tensor:
        (logits,) = session.run(None, {images.name: batch.numpy()})
        return torch.from_numpy(logits)

    side = int(images.shape[-1])
    return Ready(Path(options.model).name, options.model, run, side, *trained)


def trained_on(note: str) -> tuple[str | None, int | None, int | None]:
    """The data, training images and images held out that an exported file's note names."""
    try:
        data, examples, held_out = json.loads(note)
    except ValueError:
        return None, None, None
    return str(data), examples and int(examples), held_out and int(held_out)


def measure(found: Ready, data: DataSet, source: str, split: str) -> Evaluated:
    """What a network's logits are worth on a split of a data set. Raises ValueError for none."""
    wanted = data.val if split == "val" else data.test
    if wanted is None:
        raise ParameterError("split", f"must be val, for {data.name} has no test images")
    images = resized(wanted, found.resolution)
    logits, seconds = run_all(found.logits, data, images.pixels)
    classes = len(data.classes)
    if logits.shape[1] != classes:
        raise ParameterError(
            "data", f"must have a class for each of {logits.shape[1]} logits, got {classes} classes"
        )
    labels = images.labels
    shares = torch.softmax(logits.double(), 1)
    said = logits.argmax(1)
    confusion = torch.zeros(classes, classes, dtype=torch.int64)
    confusion.index_put_((labels, said), torch.ones_like(said), accumulate=True)
    top = logits.topk(min(TOP, classes), 1).indices
    right = said == labels
    rows = class_rows(data.classes, confusion.numpy())
    return Evaluated(
        model=found.name,
        weights=found.weights,
        data=source,
        split=split,
        images=len(labels),
        resolution=found.resolution,
        accuracy=float(right.double().mean()),
        balanced_accuracy=balanced_accuracy(rows),
        top5=float((top == labels[:, None]).any(1).double().mean()),
        loss=float(torch.nn.functional.cross_entropy(logits.double(), labels)),
        calibration_error=calibration_error(shares.amax(1).numpy(), right.double().numpy()),
        images_per_second=len(labels) / seconds,
        classes=rows,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


@torch.no_grad()
def run_all(logits: Logits, data: DataSet, pixels: Tensor) -> tuple[Tensor, float]:
    """The logits of all images, in batches as training evaluates them, and the seconds for them."""
    normalise = normaliser(data)
    started = time.perf_counter()
    batches = pixels.split(on_a_cpu(pixels.shape[-1]))
    found = torch.cat([logits(normalise(batch)).float() for batch in batches])
    return found, time.perf_counter() - started


def calibration_error(confidence: Floats, right: Floats) -> float:
    """The mean distance of confidence and accuracy over BINS equal bins, by their images."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    apart = [
        abs(confidence[bins == i].mean() - right[bins == i].mean()) * (bins == i).mean()
        for i in np.unique(bins)
    ]
    return float(sum(apart))


def class_rows(names: tuple[str, ...], confusion: NDArray[np.int64]) -> tuple[ClassRow, ...]:
    """How each class is recognised; None of a share of no images."""
    true, said, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    return tuple(
        ClassRow(
            name=name,
            images=int(true[i]),
            recall=float(right[i] / true[i]) if true[i] else None,
            precision=float(right[i] / said[i]) if said[i] else None,
        )
        for i, name in enumerate(names)
    )


def balanced_accuracy(rows: tuple[ClassRow, ...]) -> float:
    """The mean recall of the classes that have images, whatever their number."""
    recalls = [row.recall for row in rows if row.recall is not None]
    return sum(recalls) / len(recalls)
