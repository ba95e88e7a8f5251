"""What networks cost on another device, in place of what is timed here: by a user's function,
python:module:function, or by a table, FILE.csv or FILE.json.

A table has each network by its key: in JSON {key: cost}, in CSV the columns `key` and `cost` beside
any others, as `write_networks` leaves it to be filled in.
"""

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from scalesearch.errors import ParameterError
from scalesearch.files import no_number, read_text, shown, write_text
from scalesearch.networks.cost import Cost
from scalesearch.networks.custom import PREFIX, is_table
from scalesearch.networks.files import dump_model
from scalesearch.networks.inputs import batch_of
from scalesearch.networks.models import Model, build_model, in_one_line, load_function

TABLE = "networks.csv"
MOST_BYTES = 2**24  # of a table
NAMED = 3  # networks that an error names


def is_told(device: str) -> bool:
    """Whether a function or a table tells what networks cost on that device."""
    return device.startswith(PREFIX) or is_table(device)


def told(source: str, models: Sequence[Model], batch: int) -> list[float]:
    """What a function or a table says that each network costs, for a batch of so many images.

    Raises ValueError, in one line, where that is no number above 0, or a network is lacking.
    """
    if is_table(source):
        return told_by_table(Path(source), models)
    return [told_by_function(source, model, batch) for model in models]


def told_by_function(function: str, model: Model, batch: int) -> float:
    """What a user's function says that a network costs, called with it in eval mode and with
    images of zeros, or with its own example.

    Raises ValueError, in one line, where that is no number above 0.
    """
    network, images = build_model(model).eval(), batch_of(model, batch, torch.zeros)
    try:
        found: Any = load_function(function)(network, images)
        return above_zero(found)
    except Exception as error:
        raise ValueError(
            f"{function} must return a number above 0 for a network at {model.resolution} px, got "
            f"{in_one_line(error)}"
        ) from None


def above_zero(found: Any) -> float:
    """A finite number above 0. Raises ValueError for another, TypeError for what is none."""
    value = float(found)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{found}")
    return value


def told_by_table(path: Path, models: Sequence[Model]) -> list[float]:
    """What a table says that each network costs. Raises ValueError where it lacks some."""
    costs = read_costs(path)
    lacking = {model.key: model for model in models if model.key not in costs}
    if lacking:
        few = list(lacking.items())[:NAMED]
        named = ", ".join(f"{key} at {model.resolution} px" for key, model in few)
        raise ParameterError(
            "cost",
            f"must have each of {len(models)} networks in {path}, which lacks {len(lacking)}: "
            f"{named}{', ...' if len(lacking) > len(few) else ''}; scalesearch to-measure writes "
            "them, and the table to fill in",
        )
    return [costs[model.key] for model in models]


def read_costs(path: Path) -> dict[str, float]:
    """The costs in a table, by the networks' keys; a row with none yet is left out.

    Raises ValueError, in one line, where it cannot be read, names a network twice, or has a cost
    that is no number above 0.
    """
    try:
        text = read_text(path, MOST_BYTES).removeprefix("\ufeff")  # which spreadsheets begin with
        pairs = list(json_pairs(text) if path.suffix.lower() == ".json" else csv_pairs(text))
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror}") from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise ValueError(f"{path}: {error}") from None
    costs: dict[str, float] = {}
    for key, given in pairs:
        if key in costs:
            raise ValueError(f"{path}: a network must stand in one row, got {shown(key)} in two")
        try:
            if isinstance(given, bool):
                raise TypeError
            costs[key] = above_zero(given)
        except (ValueError, TypeError):
            raise ValueError(
                f"{path}: a cost must be a number above 0, got {shown(given)} for {shown(key)}"
            ) from None
    return costs


def json_pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Keys and costs of a JSON table, a key as often as it stands there."""
    pairs = json.loads(text, parse_constant=no_number, object_pairs_hook=lambda found: found)
    if not text.lstrip().startswith("{"):
        raise ValueError(f"a table must be {{key: cost}}, got {shown(pairs)}")
    yield from pairs


def csv_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Keys and costs of a CSV table, of rows that have a cost."""
    rows = csv.DictReader(StringIO(text))
    if not {"key", "cost"} <= {*(rows.fieldnames or ())}:
        raise ValueError(f"a table must have columns key and cost, got {shown(rows.fieldnames)}")
    for row in rows:
        if (row["cost"] or "").strip():
            yield (row["key"] or "").strip(), row["cost"]


def write_networks(folder: Path, networks: Mapping[str, tuple[Model, Cost]]) -> Path:
    """The path of a table of networks whose costs are to be filled in, written with a YAML of each.

    Costs that a table there has already are kept. Raises ValueError where it cannot be read.
    """
    path = folder / TABLE
    known = read_costs(path) if path.exists() else {}
    lines = StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    rows.writerow(["key", "file", "resolution", "flops", "params", "activations", "cost"])
    for key, (model, counted) in networks.items():
        write_text(folder / f"{key}.yaml", dump_model(model))
        figures = (counted.flops, counted.params, counted.activations)
        rows.writerow([key, f"{key}.yaml", model.resolution, *figures, known.pop(key, "")])
    for key, figure in known.items():  # of a plan before
        rows.writerow([key, *[""] * 5, figure])
    write_text(path, lines.getvalue())
    return path
