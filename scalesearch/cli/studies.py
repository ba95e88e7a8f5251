"""Commands of a search, from plan to report."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalesearch.cli import complete, parse
from scalesearch.cli.base import (
    Accelerator,
    Address,
    AsJson,
    Budget,
    Cache,
    Cost,
    Data,
    GpusPerTrial,
    Log,
    MirrorUrl,
    ProxyName,
    Results,
    Runner,
    SpaceName,
    Stall,
    StudyFolder,
    Trust,
    Verbose,
    Workers,
    app,
    print_json,
    seconds_of,
    trusting,
)
from scalesearch.terminal import say

if TYPE_CHECKING:
    from scalesearch.plans.document import LeftOut, Plan


@app.command(
    "run",
    epilog="Examples: scalesearch run --budget 2x; "
    "scalesearch run mobilenet_v2 --data imagefolder:photos --seeds 3 --workers 4",
)
def run_command(
    space: SpaceName = "efficientnet",
    budget: Budget = None,
    cost: Cost = None,
    proxy: ProxyName = "quick",
    data: Data = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds a candidate, 2 or more.")] = None,
    sweep_seeds: Annotated[
        int | None,
        typer.Option(help="Seeds of the learning rate's sweep, 0 for none. [the proxy's]"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs a trial.")] = None,
    runner: Runner = "ray",
    workers: Workers = None,
    gpus_per_trial: GpusPerTrial = 0.0,
    address: Address = None,
    accelerator: Accelerator = None,
    log: Log = None,
    mirror: MirrorUrl = None,
    name: Annotated[str | None, typer.Option(help="The study's name. [space-data-budget]")] = None,
    results: Results = Path("results"),
    cache: Cache = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="adaptive, grid (every trial) or asha. [the space's, adaptive]",
            autocompletion=complete.one_of("adaptive", "grid", "asha"),
        ),
    ] = None,
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
    """Search: plan, train, select, scale up, report. The same command again continues it."""
    trusting(space, trust)
    from scalesearch.search.options import RunOptions, device_here, refuse_no_gpu
    from scalesearch.search.run import run_search
    from scalesearch.spaces.files import costed_by, named_space
    from scalesearch.studies.setup import prepare

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
    if not dry_run:
        refuse_no_gpu(options)
    chosen, device = costed_by(named_space(space), cost), device_here(options)
    search = prepare(
        *(chosen, proxy, budget, data, seeds, epochs, results, name, policy, device), sweep_seeds
    )
    if dry_run:
        from scalesearch.search.estimate import estimate

        found = estimate(search, options)
        return print_json(asdict(found)) if as_json else say(found.text)
    try:
        finished = run_search(search, options, quiet=as_json)
    except KeyboardInterrupt:
        say(f"stopped; the same command continues {search.folder}", error=True)
        raise SystemExit(130) from None
    if as_json:
        from scalesearch.files import plain

        document = plain(finished)
        print_json({**(document.pop("selection") or {}), **document})
    else:
        from scalesearch.cli.show import show_answer

        show_answer(search.folder, finished, options)


@app.command(
    "plan", epilog="Example: scalesearch plan efficientnet --budget 2x --proxy full --json"
)
def plan_command(
    space: SpaceName = "efficientnet",
    budget: Budget = None,
    proxy: ProxyName = "quick",
    data: Data = None,
    latency: Annotated[
        int | None, typer.Option(help="Time them at that batch size as well.")
    ] = None,
    cost: Cost = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Show which networks meet the budget, and all they cost; train nothing, write nothing."""
    trusting(space, trust)
    from scalesearch import api

    document = api.plan(space, budget, proxy, data, latency=latency, cost=cost)
    if as_json:
        return print_json(document)
    show_plan(document)


@app.command(
    "to-measure",
    epilog="Example: scalesearch to-measure mobilenet_v2 --budget 2x,1.6xms --out phone",
)
def to_measure_command(
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    space: SpaceName = "efficientnet",
    budget: Budget = None,
    proxy: ProxyName = "quick",
    data: Data = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Write the networks whose ms a budget asks of another device, and the table for --cost."""
    trusting(space, trust)
    from scalesearch import api
    from scalesearch.units import counted

    found = api.to_measure(space, budget, proxy, data, out=out)
    if as_json:
        return print_json(found.astype(object).where(found.notna(), None).to_dict("records"))
    lacking = counted(int(found["cost"].isna().sum()), "cost")
    say(f"{counted(len(found), 'network')} in {out}, {lacking} to fill in: {out}/networks.csv")


def show_plan(plan: "Plan") -> None:
    """Print a plan as a table."""
    from scalesearch.cli.tables import show_table
    from scalesearch.networks.told import is_told
    from scalesearch.units import amount, milliseconds, short

    start, measure, timed = plan.baseline, plan.measure, plan.latency
    say(
        f"{plan.grid_points} grid points -> {plan.distinct} distinct networks -> "
        f"{plan.feasible} within {plan.tolerance:.0%} of {plan.budget_text} -> "
        f"{len(plan.candidates)} that stand for a network of the model itself "
        f"({plan.target_text}; the baseline at {start.resolution} px "
        f"costs {amount(getattr(start, measure), measure)})"
    )
    if timed:
        say(
            f"ms are what {timed.device} tells of a batch of {timed.batch}"
            if is_told(timed.device)
            else f"ms are of a forward pass of {timed.batch} images in eval mode, float32, on "
            f"{timed.device}, {timed.threads} thread: medians and 95 % intervals; "
            f"{timed.unclear} networks too noisy to tell were left out"
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
                *(row.key, row.alpha, row.beta, row.gamma, row.depths, row.resolution),
                *(short(row.flops), short(row.params), short(row.activations)),
                *(milliseconds(row.ms, row.ms_low, row.ms_high) for _ in times),
                row.ratio,
                row.nominal,
            ]
            for row in plan.candidates
        ],
    )
    show_stands(plan)
    show_inside(plan)
    for remark in plan.remarks:
        say(f"warning: {remark}")


def show_stands(plan: "Plan") -> None:
    """Print what a plan's networks stand for, and those that were left out for that."""
    from scalesearch.cli.tables import show_table

    rows = [
        (c.key, c.grid_point, c.stand, c.ratio, "candidate") for c in plan.candidates if c.stand
    ]
    rows += [
        (x.key, x.point, x.stand, x.ratio, f"left out: {why_left_out(plan, x)}")
        for x in plan.left_out
    ]
    show_table(
        "what they stand for: a network of the model, as deep and wide, at the px that the budget "
        "leaves there",
        ["key", *("grid alpha", "beta", "gamma"), "ratio", "model px", "its gamma", "ratio", ""],
        [
            [
                *(key, point.alpha, point.beta, f"{point.gamma:.4g}", f"{ratio:.3f}"),
                *(stand.resolution, f"{stand.coefficients.gamma:.4g}", f"{stand.ratio:.3f}", what),
            ]
            for key, point, stand, ratio, what in rows
        ],
    )


def why_left_out(plan: "Plan", one: "LeftOut") -> str:
    """Why a network within the budget is no candidate."""
    if one.candidate is not None:
        return f"the same network of the model as {one.candidate}"
    if not one.stand.faithful(plan.tolerance):
        return f"gamma {one.stand.difference:+.0%}"
    return f"the model's cost {one.stand.ratio / plan.ratio - 1:+.0%}"


def show_inside(plan: "Plan") -> None:
    """Print what the maps of a plan's networks are like."""
    from scalesearch.cli.tables import show_table

    names = plan.names
    rows = [(names[row.key], row, row.inside) for row in (plan.baseline, *plan.candidates)]
    of = "" if plan.images is None else f"; the images have {plan.images}"
    show_table(
        f"inside: px of the maps after the stem and each stage{of}",
        ["network", "px", "maps", "receptive field", "blocks under 4 px", "flops under 4 px"],
        [
            [
                *(name, row.resolution, inside.sides, inside.receptive_field),
                *(f"{inside.narrow_blocks} of {inside.blocks}", f"{inside.narrow_flops:.0%}"),
            ]
            for name, row, inside in rows
            if inside
        ],
    )


@app.command("status")
def status_command(
    study: StudyFolder,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count a study's trials by state and say how far it is, without disturbing its run."""
    from scalesearch import api
    from scalesearch.search.screen import follow

    if as_json:
        return print_json(api.study(study).status())
    follow(study, watch)


@app.command("select")
def select_command(study: StudyFolder, trust: Trust = False, as_json: AsJson = False) -> None:
    """Select again from the trials that a study has, and say how sure they are."""
    trusting(study, trust)
    from scalesearch import api
    from scalesearch.cli.show import show_selection

    document = api.study(study).select()
    if as_json:
        return print_json(document)
    show_selection(document, Path(study))


@app.command("verify", epilog="Example: scalesearch verify results/efficientnet-fashion-mnist-2x")
def verify_command(
    study: StudyFolder,
    phi: Annotated[float, typer.Option(help="Scale to ratio^phi times the baseline.")] = 2.0,
    top: Annotated[int, typer.Option(help="Candidates to scale up, best first, 2 or more.")] = 5,
    seeds: Annotated[int, typer.Option(help="Seeds a network, 2 or more.")] = 3,
    runner: Runner = "ray",
    workers: Workers = None,
    gpus_per_trial: GpusPerTrial = 0.0,
    address: Address = None,
    cache: Cache = None,
    stall: Stall = "10m",
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Train the top candidates and single axes scaled up: does phi = 1 tell what is best there?"""
    trusting(study, trust)
    from scalesearch import api
    from scalesearch.cli.show import show_verified

    try:
        document = api.study(study).verify(
            phi,
            top,
            seeds,
            runner=runner,
            workers=workers,
            gpus_per_trial=gpus_per_trial,
            address=address,
            cache=cache,
            stall=seconds_of(stall),
            quiet=as_json,
        )
    except KeyboardInterrupt:
        say(f"stopped; the same command continues {study}", error=True)
        raise SystemExit(130) from None
    if as_json:
        return print_json(document)
    show_verified(document, Path(study))


@app.command(
    "report",
    epilog="Examples: scalesearch report results/efficientnet-fashion-mnist-2x --format pdf; "
    "scalesearch report results/a results/b --out a-and-b",
)
def report_command(
    studies: Annotated[
        list[Path],
        typer.Argument(help="A study's directory, or several.", autocompletion=complete.studies),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="html, md, pdf or csv. [html and md]",
            autocompletion=complete.one_of("html", "md", "pdf", "csv"),
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where a comparison is written.")] = Path("comparison"),
) -> None:
    """Write a study's report again, as far as it has come; or compare several studies."""
    from scalesearch.search.run import report_on

    say(str(report_on(studies, out, kind)))
