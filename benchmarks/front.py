"""Search on Fashion-MNIST, then train its lines: the family, what matches it, single axes.

    python -m benchmarks.front                # hours; killed, the same command goes on
    python -m benchmarks.front --phi 1 --seeds 3 --max-hours 2

writes results/front-fashion-mnist. The search's proxies see 10,000 images for 4 epochs; the
networks of the front are trained on all 55,000 for 5, which is to take the baseline to 90 %; those
at 1x and 2x with more seeds.
"""

import argparse
from pathlib import Path

import scalesearch as ss

ROOT = Path(__file__).parents[1]
NAME = "front-fashion-mnist"


def main() -> None:
    """Search, then train what is lacking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phi", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smaller-seeds", type=int, default=5, help="of the networks to 2x")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--max-hours", type=float, help="of each number of seeds")
    parser.add_argument("--coefficients", help="alpha,beta,gamma where the search recommends none")
    asked = parser.parse_args()
    study = ss.run(
        ROOT / "benchmarks" / "front.yaml",
        name=NAME,
        results=ROOT / "results",
        workers=asked.workers,
    )
    given = asked.coefficients
    for phi, seeds in ((asked.phi, asked.seeds), (1, asked.smaller_seeds)):
        ss.train(
            study.folder,
            phi=phi,
            seeds=seeds,
            epochs=5,
            examples=55000,
            coefficients=[float(x) for x in given.split(",")] if given else None,
            workers=asked.workers,
            max_hours=asked.max_hours,
        )


if __name__ == "__main__":
    main()
