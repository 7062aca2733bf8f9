"""`python -m benchmarks`: runs the topics and writes RESULTS.md, plots/ and results/."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, plots, report, runner
from benchmarks.peers import Missing
from benchmarks.runner import FREE_THREADED, LONG, NORMAL, RAY, TINY, Size
from benchmarks.store import Run
from benchmarks.topics import TOPICS, races, topics

HERE = Path(__file__).resolve().parent
SIZES = {size.name: size for size in (NORMAL, LONG, FREE_THREADED, RAY, TINY)}
MINUTES = {"normal": 8.0, "long": 45.0, "free-threaded": 5.0, "ray": 25.0, "tiny": 1.0}
"""Time limits that keep `make bench` below ten minutes, including its last round and the plots."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command. Returns 1 if a contestant failed, but 0 if one is not installed or a target is missed."""
    options = _parser().parse_args(argv)
    size = SIZES[options.size]
    if not options.report:
        _run(size, options.only, options.minutes or MINUTES[size.name], options.output)
    return _report(options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="normal", help="how much is run")
    parser.add_argument("--only", nargs="+", choices=report.TITLES, metavar="TOPIC", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--minutes", type=float, help="time limit; rounds are left out to keep it, never topics")
    parser.add_argument("--output", type=Path, default=HERE, metavar="DIR", help="where the files go (default: here)")
    parser.add_argument("--report", action="store_true", help="run nothing, write RESULTS.md and plots from results/")
    return parser


def _run(size: Size, only: Sequence[str] | None, minutes: float, output: Path) -> None:
    """Runs the topics. If only some are run, the others keep their last results."""
    known = topics(size)
    chosen = [topic for topic in known if not only or topic in only]
    where = machine.here()
    entries = [(topic, race) for topic in chosen for race in races(topic, size)]
    outcomes = runner.run_all(entries, minutes, lambda line: print(line, flush=True))
    where["load after"] = machine.load()
    folder = output / "results"
    earlier = Run.load(folder, size.name) if only else None
    if earlier is not None:
        kept = [outcome for outcome in earlier.outcomes if outcome.topic not in chosen]
        outcomes = sorted([*kept, *outcomes], key=lambda outcome: list(known).index(outcome.topic))
        where["note"] = (
            f"{', '.join(chosen)}: measured at that date; the other topics earlier, on {earlier.machine['date']}"
        )
    Run(name=size.name, machine=where, outcomes=outcomes).save(folder)


def _report(output: Path) -> int:
    folder = output / "results"
    normal = Run.load(folder, "normal") or Run.load(folder, "tiny")
    further = [run for name in report.FURTHER if (run := Run.load(folder, name)) is not None]
    runs = [*([normal] if normal else []), *further]
    drawn: list[str] = []
    for run in runs:
        try:
            drawn += plots.draw(output / "plots", run)
        except Missing as error:
            print(f"no plots: {error}", file=sys.stderr)
    print(report.write(output, normal, further, drawn))
    failed = {
        f"{outcome.title}: {name}: {why}"
        for run in runs
        for outcome in run.outcomes
        for name, why in outcome.failed.items()
    }
    for line in sorted(failed):
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
