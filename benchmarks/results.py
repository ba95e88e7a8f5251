"""Write again, from the trials that they have, the selections and reports of committed studies.

    python -m benchmarks.results [FOLDER]

selects from each study with a journal below FOLDER (results unless given) and writes its report.
Nothing is trained.
"""

import argparse
import contextlib
from pathlib import Path

import scalesearch

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    folder = parser.parse_args().folder
    for journal in sorted((folder or RESULTS).resolve().rglob("study.journal")):
        if (journal.parent / "plan.json").exists():  # else a verification's, or a front's
            renew(journal.parent)


def renew(folder: Path) -> None:
    """Select from a study's trials, and write its report."""
    with contextlib.chdir(folder):  # where a space finds the network that its model names
        scalesearch.trust(folder)
        study = scalesearch.study(Path())
        print(f"{folder.name}: {study.select().headline}")
        study.report()


if __name__ == "__main__":
    main()
