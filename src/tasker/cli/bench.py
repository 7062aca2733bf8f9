"""`tasker bench`: what tasker costs on this machine, next to the standard library.

It needs no other package. The whole suite, with every peer, is `benchmarks/` in the sources.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from tasker import AsyncTaskManager, Config, TaskManager

from .commands import Command
from .exit_codes import DONE

OURS = "tasker"
EXECUTOR = "ThreadPoolExecutor"
GROUP = "Semaphore + TaskGroup"
DEFAULT_WORKERS = (1, 4, 16)
ASYNC_LIMIT = 16

Run = Callable[[], float]


@dataclass(slots=True)
class Benchmark:
    """Contestants that do the same work, and what was measured: each run returns one figure."""

    title: str
    unit: str
    more_is_better: bool
    contestants: dict[str, Run]
    values: dict[str, list[float]] = field(default_factory=dict)

    def round(self) -> None:
        """Runs each contestant once."""
        # By turns, and not one contestant after the other: a slow moment of the machine then affects all of them.
        for name, run in self.contestants.items():
            gc.collect()  # otherwise a contestant may pay for the garbage of the one before
            self.values.setdefault(name, []).append(run())

    def advantage(self, other: str) -> float:
        """Returns how many times better tasker is than another contestant: the median over the rounds."""
        # Ratios within a round, for the same reason as in `round`.
        pairs = zip(self.values[OURS], self.values[other], strict=True)
        return median(ours / theirs if self.more_is_better else theirs / ours for ours, theirs in pairs)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `tasker bench` to a parser."""
    parser.usage = "%(prog)s [options]"
    parser.epilog = (
        "The tasks do nothing: what is measured is what the library itself costs. A task that works or waits for a"
        " millisecond or more will not notice any of it. 'tasker is 5.0x' means five times better, '0.5x' half as good."
    )
    parser.add_argument("--tasks", type=_positive, default=20_000, metavar="N", help="tasks in a run (default: 20000)")
    parser.add_argument(
        "--workers",
        type=_counts,
        default=DEFAULT_WORKERS,
        metavar="N,...",
        help="numbers of workers to try (default: 1,4,16)",
    )
    parser.add_argument("--rounds", type=_positive, default=9, metavar="N", help="rounds at most (default: 9)")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=20.0,
        metavar="S",
        help="begin no further round after S seconds (default: 20); there is always one",
    )
    parser.add_argument("--json", action="store_true", help="print every value as JSON instead of a table")


def execute(options: argparse.Namespace) -> int:
    """Runs all benchmarks and prints the figures. Returns the exit code."""
    benchmarks = _benchmarks(options.tasks, options.workers)
    rounds = _run(benchmarks, options.rounds, options.seconds)
    if options.json:
        print(json.dumps(_as_data(benchmarks, options.tasks, rounds), indent=2))
        return DONE
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}")
    print(f"{options.tasks:,} tasks a run, {rounds} round{'s' * (rounds > 1)}: median [quartiles]\n")
    for benchmark in benchmarks:
        print("\n".join(_table(benchmark)), end="\n\n")
    print(f"`{OURS} is` compares runs of the same round. Tasks do nothing; see --help.")
    return DONE


def _run(benchmarks: Sequence[Benchmark], most: int, seconds: float) -> int:
    """Runs the benchmarks, `most` rounds or as many as fit into the time, but at least one. Returns how many."""
    deadline = time.monotonic() + seconds
    longest = 0.0
    for number in range(1, most + 1):
        begin = time.monotonic()
        # Every benchmark takes part in every round: running out of time shortens all of them alike.
        for benchmark in benchmarks:
            benchmark.round()
        longest = max(longest, time.monotonic() - begin)
        if time.monotonic() + longest > deadline:
            return number
    return most


def _table(benchmark: Benchmark) -> list[str]:
    direction = "more is better" if benchmark.more_is_better else "less is better"
    rows = []
    for name, values in benchmark.values.items():
        low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        compared = "" if name == OURS else f"  {OURS} is {benchmark.advantage(name):.1f}x"
        rows.append((name, _number(middle), f"[{_number(low)} to {_number(high)}]", compared))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{benchmark.title} ({benchmark.unit}, {direction})"]
    for name, value, around, compared in rows:
        lines.append(f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {around:<{widths[2]}}{compared}".rstrip())
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _as_data(benchmarks: Sequence[Benchmark], tasks: int, rounds: int) -> dict[str, Any]:
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "tasks": tasks,
        "rounds": rounds,
        "races": [
            {
                "title": benchmark.title,
                "unit": benchmark.unit,
                "more_is_better": benchmark.more_is_better,
                "values": benchmark.values,
                "tasker_is": {name: benchmark.advantage(name) for name in benchmark.values if name != OURS},
            }
            for benchmark in benchmarks
        ],
    }


# -- the benchmarks ----------------------------------------------------------------------------------------------------


def _benchmarks(tasks: int, workers: Sequence[int]) -> list[Benchmark]:
    benchmarks = [_throughput(tasks, number) for number in workers]
    trips = max(1, tasks // 10)
    benchmarks.append(
        Benchmark(
            "one task at a time: from submit to result",
            "microseconds",
            False,
            {OURS: lambda: _round_trip(_open(1), trips), EXECUTOR: lambda: _executor_round_trip(trips)},
        )
    )
    contestants = {
        OURS: lambda: asyncio.run(_async_tasker(tasks)),
        GROUP: lambda: asyncio.run(_async_group(tasks)),
    }
    benchmarks.append(Benchmark(f"asyncio, {ASYNC_LIMIT} at a time", "tasks a second", True, contestants))
    return benchmarks


def _throughput(tasks: int, workers: int) -> Benchmark:
    contestants = {OURS: lambda: _tasker(tasks, workers), EXECUTOR: lambda: _executor(tasks, workers)}
    return Benchmark(f"threads, {workers} worker{'s' * (workers > 1)}", "tasks a second", True, contestants)


def _nothing(*args: object) -> None:
    """The task of every contestant on threads."""


def _config(workers: int, **options: Any) -> Config[Any]:
    hooks: dict[str, Any] = {"on_create": object, "on_destroy": _nothing}
    return Config(worker_count=workers, max_worker_count=workers, resource_pool_size=0, **{**hooks, **options})


def _open(workers: int) -> TaskManager[Any]:
    manager: TaskManager[Any] = TaskManager(_config(workers))
    _warm(lambda: manager.submit(_nothing), workers)
    return manager


def _warm(submit: Callable[[], Any], workers: int) -> None:
    """Runs a few tasks: threads start with the first ones, which is not what is measured."""
    for future in [submit() for _ in range(workers * 4)]:
        future.result()


def _tasker(tasks: int, workers: int) -> float:
    with _open(workers) as manager:
        submit = manager.submit
        begin = time.perf_counter()
        futures = [submit(_nothing) for _ in range(tasks)]
        for future in futures:
            future.result()
        return tasks / (time.perf_counter() - begin)


def _executor(tasks: int, workers: int) -> float:
    with ThreadPoolExecutor(workers) as executor:
        _warm(lambda: executor.submit(_nothing), workers)
        submit = executor.submit
        begin = time.perf_counter()
        futures = [submit(_nothing) for _ in range(tasks)]
        for future in futures:
            future.result()
        return tasks / (time.perf_counter() - begin)


def _round_trip(manager: TaskManager[Any], trips: int) -> float:
    with manager:
        return _median_trip(lambda: manager.submit(_nothing).result(), trips)


def _executor_round_trip(trips: int) -> float:
    with ThreadPoolExecutor(1) as executor:
        _warm(lambda: executor.submit(_nothing), 1)
        return _median_trip(lambda: executor.submit(_nothing).result(), trips)


def _median_trip(trip: Callable[[], object], trips: int) -> float:
    taken = []
    for _ in range(trips):
        begin = time.perf_counter()
        trip()
        taken.append(time.perf_counter() - begin)
    return median(taken) * 1e6


async def _async_nothing(*args: object) -> None:
    """The task of every contestant on asyncio."""


async def _async_tasker(tasks: int) -> float:
    config = _config(ASYNC_LIMIT, on_create=_async_nothing, on_destroy=_async_nothing)
    async with AsyncTaskManager(config) as manager:
        return await _await_all(lambda: manager.submit(_async_nothing), tasks)


async def _await_all(submit: Callable[[], Awaitable[object]], tasks: int) -> float:
    for future in [submit() for _ in range(ASYNC_LIMIT)]:
        await future
    begin = time.perf_counter()
    futures = [submit() for _ in range(tasks)]
    for future in futures:
        await future
    return tasks / (time.perf_counter() - begin)


async def _async_group(tasks: int) -> float:
    limit = asyncio.Semaphore(ASYNC_LIMIT)

    async def limited() -> None:
        async with limit:
            await _async_nothing()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        handles = [group.create_task(limited()) for _ in range(tasks)]
    for handle in handles:
        handle.result()
    return tasks / (time.perf_counter() - begin)


# -- the options ------------------------------------------------------------------------------------------------------


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds of at least 0, not {text!r}")
    return seconds


COMMAND = Command(configure, execute)
