"""`python -m benchmarks.scaling`: compares the rules, and the simulation with real runs; writes SCALING.md and its
plots."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.peers import Missing
from benchmarks.scaling import agreement, limits, plots, report, second
from benchmarks.scaling.unseen import UNSEEN
from benchmarks.scaling.workloads import CASES, POOL, REAL, SEED
from tasker.simulation.comparison import compare

HERE = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns 0, even if an aim is missed: the page reports that."""
    options = _parser().parse_args(argv)
    path = options.output / "SCALING.md"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    simulated, measured = report.parts(page)
    if options.part == "measured" and not simulated:
        raise SystemExit(f"{path} has no simulated part yet, to which the measured one could be added")
    if options.part != "measured":
        simulated = _simulate(options)
    if options.part == "all":
        measured = ""
    if options.part != "simulated" and options.rounds:
        measured = _measure(options)
    path.write_text(simulated + measured, encoding="utf-8")
    print(path)
    return 0


def _simulate(options: argparse.Namespace) -> str:
    """Simulates, draws the plots, and returns the part of the page that is the same on every machine."""
    comparisons, reach = [], []
    for case in CASES:
        _log(f"simulating: {case.workload.name}")
        workload = dataclasses.replace(case.workload, duration=case.workload.duration * options.scale)
        comparisons.append(compare(workload, POOL, seed=SEED))
        reach.append(limits.limits_of(comparisons[-1], SEED))
    rows = second.compare((*CASES, *UNSEEN), options.scale, _log)
    loops = second.compare_loops(options.scale, _log)
    try:
        plots.draw(options.output / "plots", comparisons)
    except Missing as error:
        _log(f"no plots: {error}")
    return report.simulated(CASES, comparisons, reach, second.text(rows, loops, UNSEEN))


def _measure(options: argparse.Namespace) -> str:
    """Runs real managers, and returns the part of the page that tells how far the simulation agrees."""
    real = [dataclasses.replace(load, duration=load.duration * options.scale) for load in REAL]
    agreements = agreement.compare(real, options.rounds, _log)
    where = machine.here()
    return report.measured(agreements, {name: where[name] for name in ("date", "machine", "Python", "load before")})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--part",
        choices=["all", "simulated", "measured"],
        default="all",
        help="what is written anew (default: all): the simulated part takes four minutes of one processor, the measured one a"
        " quarter of an hour of a quiet machine",
    )
    parser.add_argument("--rounds", type=int, default=8, help="real runs of each workload (default: 8; 0: none)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all durations (default: 1), for a quick look")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="where the files go (default: here)")
    return parser


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
