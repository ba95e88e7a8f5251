"""Commands of trained networks: train."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scalesearch.cli import complete, parse
from scalesearch.cli.base import (
    Accelerator,
    Address,
    AsJson,
    Cache,
    Data,
    GpusPerTrial,
    Log,
    MirrorUrl,
    OutputStride,
    ProxyName,
    Results,
    Runner,
    Stall,
    Trust,
    Verbose,
    Workers,
    app,
    print_json,
    seconds_of,
    trusting,
)
from scalesearch.terminal import say


@app.command(
    "train",
    epilog="Examples: scalesearch train results/efficientnet-fashion-mnist-2x --phi 3; "
    "scalesearch train lenet5 resnet18_w0.25 mobilenet_v2_w0.5 --data fashion-mnist --epochs 10",
)
def train_command(
    targets: Annotated[
        list[str],
        typer.Argument(
            help="A study's directory, a folder of members, a model of the zoo, a YAML file.",
            autocompletion=complete.models,
        ),
    ],
    data: Data = None,
    space: Annotated[
        str,
        typer.Option(
            help="Whose proxy gives models their data and recipe.", autocompletion=complete.spaces
        ),
    ] = "efficientnet",
    proxy: ProxyName = "quick",
    phi: Annotated[
        int, typer.Option(help="A study's members cost up to ratio^phi, phi from 0 to 20.")
    ] = 2,
    coefficients: Annotated[
        str | None, typer.Option(help="alpha,beta,gamma of the family. [the study's]")
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            help='Models to train at the same flops, "" for none. [the space\'s]',
            autocompletion=complete.models,
        ),
    ] = None,
    axes: Annotated[
        bool, typer.Option("--axes/--no-axes", help="Depth, width, resolution alone too.")
    ] = True,
    seeds: Annotated[int, typer.Option(help="Seeds a network.")] = 3,
    epochs: Annotated[int | None, typer.Option(help="Epochs a network. [the recipe's]")] = None,
    examples: Annotated[int | None, typer.Option(help="Training images. [the proxy's]")] = None,
    output_stride: OutputStride = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Begin from weights: a .safetensors file, or torchvision's state dict."),
    ] = None,
    latency: Annotated[
        int | None, typer.Option(help="Time the networks at that batch size as well.")
    ] = None,
    runner: Runner = "ray",
    workers: Workers = None,
    gpus_per_trial: GpusPerTrial = 0.0,
    address: Address = None,
    accelerator: Accelerator = None,
    log: Log = None,
    mirror: MirrorUrl = None,
    name: Annotated[
        str | None, typer.Option(help="The directory's name, without a study. [train-data]")
    ] = None,
    results: Results = Path("results"),
    cache: Cache = None,
    max_trials: Annotated[int | None, typer.Option(help="Trials of this run.")] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Hours of this run; 0 trains nothing.")
    ] = None,
    stall: Stall = "10m",
    retry_failed: Annotated[bool, typer.Option(help="Run failed trials again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what it would take.")] = False,
    verbose: Verbose = False,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Train networks to their end and keep their weights. The same command again continues it."""
    for target in targets:
        trusting(target, trust)
    from scalesearch.cli.show import show_trained
    from scalesearch.files import plain
    from scalesearch.search.members import estimate_training, run_training
    from scalesearch.search.options import RunOptions, refuse_no_gpu
    from scalesearch.search.targets import TrainOptions, prepare_training

    options = RunOptions(
        runner=runner,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        address=address,
        retry_failed=retry_failed,
        max_trials=max_trials,
        max_hours=max_hours,
        accelerator=accelerator,
        log=parse.words(log) if log else (),
        mirror=mirror,
        stall=seconds_of(stall),
        verbose=verbose,
        cache=cache,
    )
    wanted = TrainOptions(
        targets=tuple(targets),
        space=space,
        proxy=proxy,
        data=data,
        phi=phi,
        coefficients=parse.coefficients(coefficients) if coefficients else None,
        match=None if match is None else parse.words(match),
        axes=axes,
        seeds=seeds,
        epochs=epochs,
        examples=examples,
        output_stride=output_stride,
        start=start,
        latency=latency,
        results=results,
        name=name,
    )
    if not dry_run:
        refuse_no_gpu(options)
    training, folder = prepare_training(wanted)
    if dry_run:
        found = estimate_training(training, folder, options)
        return print_json(asdict(found)) if as_json else show_trained(training, found.text)
    try:
        trained = run_training(training, folder, options, as_json, start)
    except KeyboardInterrupt:
        say(f"stopped; the same command continues {folder}", error=True)
        raise SystemExit(130) from None
    if as_json:
        return print_json(plain(trained))
    show_trained(training, f"{trained.trained} trials trained; weights in {trained.folder}/weights")
    if trained.report:
        say(f"report: {trained.report}")
    if trained.unfinished:
        say(f"ended early, {trained.unfinished}: the same command goes on")


@app.command(
    "evaluate",
    epilog="Examples: scalesearch evaluate results/train-fashion-mnist/members/lenet5.yaml; "
    "scalesearch evaluate lenet5.onnx --data fashion-mnist --split test",
)
def evaluate_command(
    model: Annotated[
        str,
        typer.Argument(
            help="A member's YAML file, an exported folder or ONNX file, or a model of the zoo.",
            autocompletion=complete.models,
        ),
    ],
    weights: Annotated[
        Path | None, typer.Option(help="A .safetensors file. [those beside the model]")
    ] = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="val or test.", autocompletion=complete.one_of("val", "test"))
    ] = "val",
    examples: Annotated[
        int | None, typer.Option(help="Training images, as in training. [the card's]")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(help="Images held out of them. [the card's, or 5000]")
    ] = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Say what a trained network is worth: accuracy, by class, confusion, calibration, speed."""
    trusting(model, trust)
    from scalesearch.cli.show import show_evaluated
    from scalesearch.export.evaluate import EvaluateOptions, evaluate

    document = evaluate(
        EvaluateOptions(
            model=model,
            weights=weights,
            data=data,
            split=split,
            examples=examples,
            held_out=held_out,
        )
    )
    return print_json(document) if as_json else show_evaluated(document)
