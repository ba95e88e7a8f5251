"""What the terminal prints of an answer and of a verification."""

from pathlib import Path
from typing import Any

from scalesearch.cli.tables import cell, show_table
from scalesearch.units import milliseconds, short


def show_verified(document: dict[str, Any]) -> None:
    """Print what a verification found."""
    show_table(
        f"at {document['ratio']:g}x, {document['seeds']} seeds; flops are multiply-adds",
        ["network", "px", "flops", "ratio", "loss", "95 % interval"],
        [
            [
                row["label"],
                row["resolution"],
                short(row["flops"]),
                row["ratio"],
                f"{row['loss']:.4f}",
                f"{row['interval'][0]:.4f}..{row['interval'][1]:.4f}",
            ]
            for row in sorted(document["networks"], key=lambda row: row["loss"])
        ],
    )
    found = document["transfer"]
    low, high = found["interval"]
    print(
        f"rank correlation with phi = 1: {found['rank_correlation']:+.2f} (95% interval "
        f"{low:+.2f} to {high:+.2f}; {found['distinct']} distinct of {found['candidates']})"
    )
    for row in document["axes"]:
        low, high = row["interval"]
        print(
            f"{row['axis']} against the leader at phi = 1: {row['difference']:+.4f} "
            f"({low:+.4f} to {high:+.4f})"
        )
    law = document["law"]
    print(
        f"law: L = b C^-c, c {law['form']} in the shape; error at phi {document['phi']:g} "
        f"{law['error']:.4f}, of best-so-far {law['error_best_so_far']:.4f}, of a log-linear fit "
        f"{law['error_log_linear']:.4f}; {law['inside']} inside the interval"
    )
    if not law["supported"]:
        print("the trials do not support a law of shape: loss is told by compute alone")


def show_selection(document: dict[str, Any]) -> None:
    """Print the answer, the candidates and the warnings."""
    print(document["headline"])
    names = document["names"]
    rows = [
        [
            names[row["key"]],
            *(row[name] for name in ("seeds", "loss", "spread", "difference")),
            f"{row['interval'][0]:.4f}..{row['interval'][1]:.4f}",
            f"{row['p_best']:.0%}",
            f"{row['regret']:.4f}",
            "*" if row["in_set"] else "",
        ]
        for row in document["standings"]
    ]
    show_table(
        f"up to {document['seeds']} seeds; * in the {document['confidence']:.0%} confidence set",
        [
            "alpha/beta/gamma",
            "n",
            "loss",
            "sd",
            "difference",
            "95 % interval",
            "P(best)",
            "regret",
            "set",
        ],
        rows,
    )
    for key, stop in document["stopped"].items():
        print(f"stopped: {names[key]}: {stop['reason']}")
    for gate in document["gates"]:
        print(f"gate {gate['name']}: {'passed' if gate['passed'] else 'FAILED'}: {gate['text']}")
    for warning in document["warnings"]:
        print(f"warning: {warning}")


def show_answer(folder: Path, document: dict[str, Any]) -> None:
    """Print how a run ended: the answer, the report's path, the next sensible command."""
    if "headline" in document:
        show_selection(document)
    else:
        print("no selection yet: it needs two seeds of every candidate and the baseline")
    if not document["trained"] and not document["unfinished"]:
        print("nothing was trained: the study was complete")
    print(f"report: {document['report']}")
    if document["unfinished"]:
        print(f"{document['unfinished']}; the same command goes on")
    elif document["recommended"]:
        print(f"next: scalesearch scale {document['space']} --study {folder}")
    else:
        print("next: the same command with more --epochs and another --name")


def show_family(document: dict[str, Any]) -> None:
    """Print a family and those matched to it as tables."""
    columns = ["name", "phi", "depth", "width", "px", "params", "flops", "acts", "ms", "ratio"]
    tables = {document["baseline"]["name"]: document["members"], **document["matched"]}
    for name, members in tables.items():
        show_table(
            f"{name}, {document['mode']}; flops are {document['flops_convention']}",
            columns,
            [member_cells(member) for member in members],
        )
    for warning in document["warnings"]:
        print(f"warning: {warning}")


def member_cells(row: dict[str, Any]) -> list[str]:
    """A member's row as text."""
    return [
        row["name"],
        cell(row["phi"]),
        f"{row['depth']:.3f}",
        f"{row['width']:.3f}",
        str(row["resolution"]),
        short(row["params"]),
        short(row["flops"]),
        short(row["activations"]),
        milliseconds(row),
        f"{row['ratio']:.3f}",
    ]
