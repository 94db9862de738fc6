"""Training steps and grid evaluations per contender, interleaved, on one thread each.

    python tests/benchmarks/engine.py                        # everything that is installed
    python tests/benchmarks/engine.py --only torch,jax --work W1,W6 --rounds 21

Every round runs each contender once, from the same weights over the same batches, with the garbage
collector off; the tables, in Markdown, show medians over rounds. A ratio is the median of the
ratios within a round, so that a machine that slows down for a while changes both sides. All must
follow the loss curve of the first contender; the exit status says whether they do.
"""

# ruff: noqa: E402

from __future__ import annotations

import os

# One thread each. The libraries read this as they are imported; XLA makes its pool from the cores
# it may use, whatever its flags say, so the whole process is held to one core where it can be.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"):
    os.environ[_variable] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import argparse
import gc
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import numpy as np
from ours import OURS
from rivals import RIVALS
from workloads import WORKLOADS, Runner, Workload, prepare

CONTENDERS = OURS | RIVALS
CLOCKS = {"wall": perf_counter, "cpu": process_time}
COMPARED_STEPS = 300
TOLERANCE = 5e-4


@dataclass
class Result:
    """One contender on one workload: microseconds a step in each round, and what it returned."""

    times: list[float]
    answer: np.ndarray

    def apart(self, base: Result, workload: Workload) -> float:
        """The largest difference from another's losses over the first steps, or from its grid."""
        mine, other = self.answer, base.answer
        if workload.kind == "train":
            if len(mine) != len(other):  # one of them knows the means of epochs only
                mine, other = (a.reshape(workload.epochs, -1).mean(axis=1) for a in (mine, other))
            first = COMPARED_STEPS * len(mine) // (workload.epochs * workload.steps)
            mine, other = mine[:first], other[:first]
        return float(np.abs(mine - other).max())


def measure(
    workload: Workload, runners: dict[str, Runner], rounds: int, clock: Callable[[], float]
) -> dict[str, Result]:
    """Interleaved timed runs; the order turns by one each round."""
    weights, batches = prepare(workload)
    for runner in runners.values():
        runner.setup(workload, weights, batches)
        runner.run(workload.epochs)
    names = list(runners)
    results = {name: Result([], np.empty(0)) for name in names}
    for turn in range(rounds):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            runners[name].restart()
            gc.collect()
            gc.disable()
            started = clock()
            answer = runners[name].run(workload.epochs)
            elapsed = clock() - started
            gc.enable()
            results[name].times.append(elapsed * 1e6 / (workload.epochs * workload.steps))
            results[name].answer = _as_one_array(answer)
    return results


def _as_one_array(answer: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Units' pictures side by side, whatever the number of layers."""
    return np.concatenate(answer, axis=1) if isinstance(answer, list) else answer


def table(title: str, columns: list[str], rows: list[tuple[str, list[str]]]) -> None:
    print(f"\n**{title}**\n\n| | {' | '.join(columns)} |\n|---{'|--:' * len(columns)}|")
    for name, cells in rows:
        print(f"| {name} | {' | '.join(cells)} |")


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def installed(names: list[str]) -> dict[str, Runner]:
    """The contenders that can be made here; the others are named, with the reason."""
    runners = {}
    for name in names:
        try:
            runners[name] = CONTENDERS[name]()
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return runners


def report(everything: dict[Workload, dict[str, Result]], names: list[str]) -> bool:
    """Print the three tables; true if all contenders agree."""

    def rows(cell: Callable[[Result, Result, Workload], str]) -> list[tuple[str, list[str]]]:
        listed = []
        for workload, results in everything.items():
            base = results[names[0]]
            cells = [cell(results[n], base, workload) if n in results else "-" for n in names]
            listed.append((f"{workload.name}: {workload.title}", cells))
        return listed

    def ratio(result: Result, base: Result, _: Workload) -> str:
        return number(median(a / b for a, b in zip(result.times, base.times, strict=True)))

    table("Microseconds a step", names, rows(lambda result, *_: number(median(result.times))))
    table(f"Times as long as {names[0]}", names, rows(ratio))
    title = f"Largest difference from {names[0]}: first {COMPARED_STEPS} losses, or any unit"
    table(title, names, rows(lambda result, *of: f"{result.apart(*of):.0e}"))
    return all(
        result.apart(results[names[0]], workload) < TOLERANCE
        for workload, results in everything.items()
        for result in results.values()
    )


def _names(text: str) -> list[str]:
    return text.split(",")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only",
        type=_names,
        default=list(CONTENDERS),
        metavar="NAME,…",
        help=f"of {', '.join(CONTENDERS)}; the first is the base, and says which work is done",
    )
    parser.add_argument("--work", type=_names, default=[""], metavar="W1,…", help="default: all")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    options = parser.parse_args()
    if unknown := set(options.only) - set(CONTENDERS):
        parser.error(
            f"no contender {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS)}"
        )
    runners = installed(options.only)
    kinds = next((base.kinds for base in runners.values()), ())
    named = [w for w in WORKLOADS if w.name.startswith(tuple(options.work))]
    chosen = [w for w in named if w.kind in kinds]
    if not chosen or options.rounds < 1:
        parser.error("nothing to measure")

    everything = {}
    for workload in chosen:
        print(f"{workload.name} …", file=sys.stderr)
        taking_part = {n: r for n, r in runners.items() if workload.kind in r.kinds}
        everything[workload] = measure(workload, taking_part, options.rounds, CLOCKS[options.clock])
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, "
        f"one thread, float32, {options.clock} time, medians of {options.rounds} rounds."
    )
    agree = report(everything, list(runners))
    print("\nAll follow the same curve." if agree else f"\nNot all agree within {TOLERANCE}.")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
