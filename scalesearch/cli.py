"""The command line: a few lines a command. Heavy imports stay inside the commands."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="scalesearch",
    help="Find how to spend compute on a convolutional network: depth, width or resolution.",
    epilog="Start with: scalesearch run --budget 2x",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpaceName = Annotated[str, typer.Argument(help="A shipped space, or a YAML file.")]
Budget = Annotated[
    str | None,
    typer.Option(
        help="2x, 0.5x, or multiply-adds: 800M, 1.6G; or 30Mparams, 2xparams, 20Macts, 5ms, "
        "5ms@8 (a batch of 8). Of several with commas between the first is the target, met within "
        "the tolerance; the others are caps. [the space's own]"
    ),
]
ProxyName = Annotated[str, typer.Option("--proxy", help="Which of the space's proxies to train.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="fashion-mnist, cifar10, cifar100, shapes, imagefolder:DIR, npz:FILE. [the proxy's]"
    ),
]
Results = Annotated[Path, typer.Option(help="Where studies are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
StudyFolder = Annotated[Path, typer.Argument(help="A study's directory.")]


def main() -> None:
    """Run the command line: exit code 0, or 2 after a one-line error, 130 when interrupted."""
    try:
        app()
    except (ValueError, OSError) as error:
        fail(" ".join(str(error).split()))


def fail(message: str) -> None:
    """Print a one-line error and exit with code 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(document, indent=2))


@app.command("cost", epilog="Example: scalesearch cost efficientnet_b3 --json")
def cost_command(
    model: Annotated[
        str,
        typer.Argument(help="A model of the zoo, a model's YAML file, or python:module:function."),
    ],
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels. [the model's own]")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure one network: multiply-adds, parameters, activations."""
    from dataclasses import asdict

    from scalesearch.cost import cost
    from scalesearch.files import find_model

    arch = find_model(model, resolution)
    row = {"model": arch.name, "resolution": arch.resolution, **asdict(cost(arch))}
    if as_json:
        return print_json(row)
    from scalesearch.console import show_table

    show_table(
        "flops are multiply-adds of convolutions and matrix products", list(row), [[*row.values()]]
    )


@app.command("models")
def models_command(as_json: AsJson = False) -> None:
    """List the zoo: each model's cost, and its published accuracy on ImageNet."""
    from scalesearch.files import model_rows

    rows = model_rows()
    if as_json:
        return print_json(rows)
    from scalesearch.console import show_table
    from scalesearch.files import short

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


@app.command("reconcile", epilog="Example: scalesearch reconcile --json")
def reconcile_command(as_json: AsJson = False) -> None:
    """Recount EfficientNet's Tables 2, 3 and 7: as printed, by the formula, measured."""
    from scalesearch.reconcile import plain_rows, reconcile, text_table

    rows = reconcile()
    if as_json:
        return print_json(plain_rows(rows))
    print("flops in G multiply-adds; top-1 as published; phi is what each multiplier implies")
    print(text_table(rows))


@app.command("spaces")
def spaces_command(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of space files instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the shipped search spaces."""
    from scalesearch.space import load_space, space_names, space_schema

    if schema:
        return print_json(space_schema())

    rows = [
        {"space": name, "model": space.model, "budget": space.budget, "proxies": [*space.proxies]}
        for name in space_names()
        for space in [load_space(name)]
    ]
    if as_json:
        return print_json(rows)
    from scalesearch.console import show_table

    show_table("", ["space", "model", "budget", "proxies"], [[*row.values()] for row in rows])


@app.command(
    "plan", epilog="Example: scalesearch plan efficientnet --budget 2x --proxy full --json"
)
def plan_command(
    space: SpaceName = "efficientnet",
    budget: Budget = None,
    proxy: ProxyName = "quick",
    data: Data = None,
    latency: Annotated[
        int | None, typer.Option(min=1, help="Time them at that batch size as well.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which networks meet the budget, and all they cost; train nothing, write nothing."""
    from scalesearch import api
    from scalesearch.files import plan_document

    document = plan_document(api.plan(space, budget, proxy, data, latency=latency))
    if as_json:
        return print_json(document)
    show_plan(document)


def show_plan(document: dict[str, Any]) -> None:
    """Print a plan as a table."""
    from scalesearch.console import show_table
    from scalesearch.files import amount, milliseconds, short

    start, measure, timed = document["baseline"], document["measure"], document["latency"]
    print(
        f"{document['grid_points']} grid points -> {document['distinct']} distinct networks -> "
        f"{document['feasible']} within {document['tolerance']:.0%} of {document['budget_text']} "
        f"({document['target_text']}; the baseline at {start['resolution']} px "
        f"costs {amount(start[measure], measure)})"
    )
    if timed:
        print(
            f"ms are of a forward pass of {timed['batch']} images in eval mode, float32, on "
            f"{timed['device']}, {timed['threads']} thread: medians and 95 % intervals; "
            f"{timed['unclear']} networks too noisy to tell were left out"
        )
    ratio = {"flops": "ratio", "params": "x params", "activations": "x acts", "ms": "x ms"}[measure]
    times = ["ms"] if timed else []
    show_table(
        "flops are multiply-adds, measured by fvcore; nominal is alpha * beta^2 * gamma^2",
        [
            *("key", "alpha", "beta", "gamma", "depths", "px", "flops", "params", "acts", *times),
            *(ratio, "nominal"),
        ],
        [
            [
                *(row[name] for name in ("key", "alpha", "beta", "gamma", "depths", "resolution")),
                *(short(row[name]) for name in ("flops", "params", "activations")),
                *(milliseconds(row) for _ in times),
                row["ratio"],
                row["nominal"],
            ]
            for row in document["candidates"]
        ],
    )


@app.command(
    "run",
    epilog="Examples: scalesearch run --budget 2x; "
    "scalesearch run mobilenet_v2 --data imagefolder:photos --seeds 3 --workers 4",
)
def run_command(
    space: SpaceName = "efficientnet",
    budget: Budget = None,
    proxy: ProxyName = "quick",
    data: Data = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="Seeds a candidate.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs a trial.")] = None,
    runner: Annotated[str, typer.Option(help="ray, or inline: this process, no Ray.")] = "ray",
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at once. [cores]")] = None,
    gpus_per_trial: Annotated[float, typer.Option(min=0, help="Share of a GPU for a trial.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="A Ray cluster: auto, HOST:PORT.")] = None,
    accelerator: Annotated[
        str | None, typer.Option(help="Ray's accelerator_type that trials are pinned to.")
    ] = None,
    log: Annotated[
        str | None, typer.Option(help="tensorboard, mlflow, wandb, with commas between.")
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="A URL to keep the study at too: s3://bucket/studies.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The study's name. [space-data-budget]")] = None,
    results: Results = Path("results"),
    policy: Annotated[
        str | None, typer.Option(help="rungs, grid (every trial) or asha. [the space's, rungs]")
    ] = None,
    max_trials: Annotated[int | None, typer.Option(min=1, help="Trials of this run.")] = None,
    max_hours: Annotated[float | None, typer.Option(min=0, help="Hours of this run.")] = None,
    retry_failed: Annotated[bool, typer.Option(help="Run failed trials again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what it would take.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search: plan, train, select, scale up, report. The same command again continues it."""
    from scalesearch.search import RunOptions, prepare
    from scalesearch.space import load_space
    from scalesearch.workflow import estimate, refuse_no_gpu, run_search

    options = RunOptions(
        runner=runner,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        retry_failed=retry_failed,
        max_trials=max_trials,
        max_hours=max_hours,
        accelerator=accelerator,
        log=tuple(log.split(",")) if log else (),
        mirror=mirror,
    )
    if not dry_run:
        refuse_no_gpu(options)
    search = prepare(load_space(space), proxy, budget, data, seeds, epochs, results, name, policy)
    if dry_run:
        document = estimate(search, options)
        if as_json:
            return print_json(document)
        return print(document["text"])
    try:
        document = run_search(search, options, quiet=as_json)
    except KeyboardInterrupt:
        print(f"stopped; the same command continues {search.folder}", file=sys.stderr)
        raise SystemExit(130) from None
    if as_json:
        print_json(document)
    else:
        from scalesearch.workflow import show_answer

        show_answer(search.folder, document)


@app.command("status")
def status_command(
    study: StudyFolder,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count a study's trials by state and say how far it is, without disturbing its run."""
    from scalesearch.console import follow
    from scalesearch.study import read_status

    if as_json:
        return print_json(read_status(study))
    follow(lambda: read_status(study), watch)


@app.command("select")
def select_command(study: StudyFolder, as_json: AsJson = False) -> None:
    """Select again from the trials that a study has, and say how sure they are."""
    from scalesearch import api
    from scalesearch.workflow import show_selection

    document = api.study(study).select()
    if as_json:
        return print_json(document)
    show_selection(document)


@app.command("verify", epilog="Example: scalesearch verify results/efficientnet-fashion-mnist-2x")
def verify_command(
    study: StudyFolder,
    phi: Annotated[float, typer.Option(help="Scale to ratio^phi times the baseline.")] = 2.0,
    top: Annotated[int, typer.Option(min=2, help="Candidates to scale up, best first.")] = 5,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds a network.")] = 3,
    runner: Annotated[str, typer.Option(help="ray, or inline: this process, no Ray.")] = "ray",
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at once. [cores]")] = None,
    gpus_per_trial: Annotated[float, typer.Option(min=0, help="Share of a GPU for a trial.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the top candidates and single axes scaled up: does phi = 1 tell what is best there?"""
    from scalesearch import api
    from scalesearch.workflow import show_verified

    document = api.study(study).verify(
        phi,
        top,
        seeds,
        runner=runner,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        quiet=as_json,
    )
    if as_json:
        return print_json(document)
    show_verified(document)


@app.command(
    "report",
    epilog="Examples: scalesearch report results/efficientnet-fashion-mnist-2x --format pdf; "
    "scalesearch report results/a results/b --out a-and-b",
)
def report_command(
    studies: Annotated[list[Path], typer.Argument(help="A study's directory, or several.")],
    kind: Annotated[
        str | None, typer.Option("--format", help="html, md, pdf or csv. [html and md]")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where a comparison is written.")] = Path("comparison"),
) -> None:
    """Write a study's report again, as far as it has come; or compare several studies."""
    from scalesearch.workflow import report_on

    print(report_on(studies, out, kind))


@app.command(
    "scale",
    epilog="Examples: scalesearch scale efficientnet --published; scalesearch scale efficientnet "
    "--mode formula --coefficients 1.2,1.1,1.15 --phi 1,2,3,4,5,6,7; "
    "scalesearch scale resnet --strategy fast --budget 16x",
)
def scale_command(
    space: SpaceName = "efficientnet",
    published: Annotated[bool, typer.Option("--published", help="The published table.")] = False,
    mode: Annotated[str, typer.Option(help="formula, or budget: measured cost.")] = "budget",
    strategy: Annotated[
        str,
        typer.Option(
            help="compound: the coefficients; or depth, width, resolution, fast, efficientnet."
        ),
    ] = "compound",
    coefficients: Annotated[
        str | None, typer.Option(help="alpha,beta,gamma. [those that --study found]")
    ] = None,
    study: Annotated[Path | None, typer.Option(help="Take the coefficients found there.")] = None,
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
        str | None, typer.Option(help="Models to scale to the same cost. [the space's]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write YAML, CSV and JSON there.")] = None,
    as_json: AsJson = False,
) -> None:
    """Scale a baseline up: by the published table, the formula, or to measured budgets."""
    from scalesearch.scale import ScaleOptions, scale, show_family

    options = ScaleOptions(
        space, published, mode, strategy, coefficients, study, phi, budget, match, out
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
    model: Annotated[
        str,
        typer.Argument(help="A model of the zoo, a model's YAML file, or python:module:function."),
    ],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="onnx, pt2 (torch.export), safetensors, python: one or more, by commas.",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="A file or a folder. [here]")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A .safetensors file, by our names or torchvision's.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels. [the model's own]")] = None,
    names: Annotated[
        str, typer.Option(help="Of weights in safetensors: scalesearch, or torchvision.")
    ] = "scalesearch",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a model away as files for other programs, checked, with a model card."""
    from scalesearch.export import ExportOptions, export

    wanted = tuple(formats.split(","))
    document = export(ExportOptions(model, wanted, out, weights, resolution, names, overwrite))
    if as_json:
        return print_json(document)
    for path in document["files"]:
        print(f"wrote {path}")
    print(f"weights: {document['weights']}")
    for check in document["checked"].values():
        print(
            f"checked: {check['against']}: logits differ by at most {check['difference']:.2g}, "
            f"the largest is {check['largest']:.3g}"
        )
