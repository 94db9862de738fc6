"""How the time of a captured step grows with width, depth, batch and number of points.

    python tests/benchmarks/scaling.py

Each table changes one number of 2-8-8-1 tanh, batch 32 (or, for an evaluation, its grid). Beside
the time stands the arithmetic of the matrix products in it, in GFLOP/s: while that grows along a
row, a step is overhead (the calls themselves); where it levels off, it is arithmetic. Times are
medians over rounds, on one thread.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from statistics import median

from engine import CLOCKS, measure, number, table  # first: it sets the number of threads
from ours import Captured
from workloads import WORKLOADS, Workload

STEP = replace(next(w for w in WORKLOADS if w.name == "W2"), steps=10, epochs=30)
GRID = next(w for w in WORKLOADS if w.name == "W6 small")


def network(width: int, depth: int) -> tuple[int, ...]:
    return (2, *(width,) * depth, 1)


def with_batch(batch: int) -> Workload:
    return replace(STEP, batch=batch, steps=max(1, 320 // batch))


#: What grows, and the workload for each of its sizes.
ROWS: dict[str, dict[int, Workload]] = {
    "units in each of two layers": {
        width: replace(STEP, units=network(width, 2)) for width in (2, 4, 8, 16, 32, 64, 128, 256)
    },
    "layers of 8 units": {
        depth: replace(STEP, units=network(8, depth)) for depth in (1, 2, 3, 4, 6, 8, 10)
    },
    "examples in a batch": {
        batch: with_batch(batch) for batch in (1, 4, 16, 32, 64, 128, 256, 512, 2048)
    },
    "points of a grid, evaluated": {
        side * side: replace(GRID, batch=side * side, epochs=20)
        for side in (10, 20, 30, 50, 70, 100, 200)
    },
}


def flops(workload: Workload) -> int:
    """Of the matrix products: forward, and in training towards weights and inputs too."""
    sizes = [(n + 1) * m for n, m in zip(workload.units, workload.units[1:], strict=False)]
    forward = 2 * workload.batch * sum(sizes)
    if workload.kind != "train":
        return forward
    return 2 * forward + 2 * workload.batch * sum(sizes[1:])  # nobody asks for dL/dx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    options = parser.parse_args()
    for title, workloads in ROWS.items():
        times = {}
        for size, workload in workloads.items():
            runner = Captured()
            (result,) = measure(
                workload, {"nnkit": runner}, options.rounds, CLOCKS[options.clock]
            ).values()
            times[size] = median(result.times)
        rates = [flops(w) / times[size] / 1e3 for size, w in workloads.items()]
        table(
            title,
            [f"{size:,}" for size in workloads],
            [
                ("microseconds", list(map(number, times.values()))),
                ("GFLOP/s", list(map(number, rates))),
            ],
        )


if __name__ == "__main__":
    main()
