"""Commands about networks: scale, export, cost, models, spaces, reconcile."""

from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli import complete, parse
from scalesearch.cli.base import (
    AsJson,
    ModelName,
    OutputStride,
    Resolution,
    Trust,
    app,
    print_json,
    trusting,
)
from scalesearch.terminal import say


@app.command(
    "scale",
    epilog="Examples: scalesearch scale efficientnet --published; scalesearch scale efficientnet "
    "--mode formula --coefficients 1.2,1.1,1.15 --phi 1,2,3,4,5,6,7; "
    "scalesearch scale resnet --strategy fast --budget 16x",
)
def scale_command(
    space: Annotated[
        str | None,
        typer.Argument(
            help="A shipped space, or a YAML file. [the study's, or efficientnet]",
            autocompletion=complete.spaces,
        ),
    ] = None,
    published: Annotated[bool, typer.Option("--published", help="The published table.")] = False,
    mode: Annotated[
        str,
        typer.Option(
            help="formula, or budget: measured cost.",
            autocompletion=complete.one_of("formula", "budget"),
        ),
    ] = "budget",
    strategy: Annotated[
        str,
        typer.Option(
            help="compound: the coefficients; or depth, width, resolution, fast, efficientnet.",
            autocompletion=complete.one_of(
                "compound", "depth", "width", "resolution", "fast", "efficientnet"
            ),
        ),
    ] = "compound",
    coefficients: Annotated[
        str | None, typer.Option(help="alpha,beta,gamma. [those that --study found]")
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            help="Take the space and the coefficients found there.",
            autocompletion=complete.studies,
        ),
    ] = None,
    phi: Annotated[str, typer.Option(help="Exponents, with commas between.")] = "1,2,3,4,5,6,7",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            "--target",
            help="A member for each, with commas between: 800M,16x,30Mparams,20Macts,5ms.",
        ),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            help="Models to scale to the same cost. [the space's]", autocompletion=complete.models
        ),
    ] = None,
    output_stride: OutputStride = None,
    out: Annotated[Path | None, typer.Option(help="Write YAML, CSV and JSON there.")] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Scale a baseline up: by the published table, the formula, or to measured budgets."""
    trusting(study or space, trust)
    from scalesearch.cli.show import show_family
    from scalesearch.families.scale import ScaleOptions, scale

    options = ScaleOptions(
        space=space,
        published=published,
        mode=mode,
        strategy=strategy,
        coefficients=parse.coefficients(coefficients) if coefficients else None,
        study=study,
        phi=parse.numbers("phi", phi),
        targets=parse.targets(budget) if budget else (),
        match=None if match is None else parse.words(match),
        out=out,
        output_stride=output_stride,
    )
    document = scale(options)
    if as_json:
        return print_json(document)
    show_family(document)


@app.command(
    "export",
    epilog="Examples: scalesearch export efficientnet_b0 --format onnx; "
    "scalesearch export family/efficientnet_b0_phi1.yaml --format python --out nets",
)
def export_command(
    model: ModelName,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="One or more, with commas between: onnx, pt2 (a program of torch.export), "
            "safetensors (weights, and a YAML file that builds the model), python (code of torch "
            "alone).",
            autocompletion=complete.one_of("onnx", "pt2", "safetensors", "python"),
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="A folder, or a file for one format. [this folder]")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Weights: a .safetensors file, with scalesearch's names or torchvision's. "
            "[those beside the model, else random]"
        ),
    ] = None,
    resolution: Resolution = None,
    names: Annotated[
        str,
        typer.Option(
            help="Whose names the tensors of a safetensors file get: scalesearch or torchvision.",
            autocompletion=complete.one_of("scalesearch", "torchvision"),
        ),
    ] = "scalesearch",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX, a torch.export program, safetensors or Python, with a model card."""
    trusting(model, trust)
    from scalesearch.export import ExportOptions, export

    wanted = tuple(formats.split(","))
    document = export(ExportOptions(model, wanted, out, weights, resolution, names, overwrite))
    if as_json:
        return print_json(document)
    for path in document.files:
        say(f"wrote {path}")
    say(f"weights: {document.weights}")
    for check in document.checked.values():
        say(
            f"checked: {check.against}: logits differ by at most {check.difference:.2g}, "
            f"the largest is {check.largest:.3g}"
        )


@app.command(
    "cost",
    epilog="Examples: scalesearch cost efficientnet_b3 --json; "
    "scalesearch cost resnet18 --resolution 32 --output-stride 8",
)
def cost_command(
    model: ModelName,
    resolution: Resolution = None,
    output_stride: OutputStride = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Measure one network: multiply-adds, parameters, activations."""
    trusting(model, trust)
    from dataclasses import asdict

    from scalesearch.networks.cost import cost
    from scalesearch.networks.files import find_model

    arch = find_model(model, resolution, output_stride)
    row = {"model": arch.name, "resolution": arch.resolution, **asdict(cost(arch))}
    if as_json:
        return print_json(row)
    from scalesearch.cli.tables import show_table

    show_table(
        "flops are multiply-adds of convolutions and matrix products", list(row), [[*row.values()]]
    )


@app.command("models")
def models_command(as_json: AsJson = False) -> None:
    """List the zoo: each model's cost, and its published accuracy on ImageNet."""
    from scalesearch.networks.accuracies import model_rows

    rows = model_rows()
    if as_json:
        return print_json(rows)
    from scalesearch.cli.tables import show_table
    from scalesearch.units import short

    show_table(
        "flops are multiply-adds; top-1 is of ImageNet, as published, and never ours",
        ["model", "family", "px", "params", "flops", "top-1"],
        [
            [
                *(row[name] for name in ("model", "family", "resolution")),
                short(row["params"]),
                short(row["flops"]),
                row["published"][0]["top1"] if row["published"] else None,
            ]
            for row in rows
        ],
    )


@app.command("spaces")
def spaces_command(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of space files instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the shipped search spaces."""
    from scalesearch.spaces.files import load_space, space_names, space_schema

    if schema:
        return print_json(space_schema())

    rows = [
        {"space": name, "model": space.model, "budget": space.budget, "proxies": [*space.proxies]}
        for name in space_names()
        for space in [load_space(name)]
    ]
    if as_json:
        return print_json(rows)
    from scalesearch.cli.tables import show_table

    show_table("", ["space", "model", "budget", "proxies"], [[*row.values()] for row in rows])


@app.command("reconcile", epilog="Example: scalesearch reconcile --json")
def reconcile_command(as_json: AsJson = False) -> None:
    """Recount EfficientNet's Tables 2, 3 and 7: as printed, by the formula, measured."""
    from scalesearch.families.reconcile import plain_rows, reconcile, text_table

    rows = reconcile()
    if as_json:
        return print_json(plain_rows(rows))
    say("flops in G multiply-adds; top-1 as published; phi is what each multiplier implies")
    say(text_table(rows))
