"""Tasks that compute for 10 us to 10 ms: the share of the time that is not work.

The bare call of the same work, in a loop, is a contestant in each round; the overhead of the others is the time that
they take beyond it, as a share of it. The work holds the GIL, so threads gain nothing from a second core. Processes do,
so their overhead may be below zero; they take part from 1 ms on, where the comparison begins to make sense.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks import contestants
from benchmarks.peers import absent
from benchmarks.peers import load as peer
from benchmarks.runner import Contestant, Figure, Race, Size
from benchmarks.work import Load, burn, burn_task, clock, steps_for

OVERHEAD = Figure("overhead", "overhead, of the work", "%")
EACH = Figure("each", "a task", "us")
SIZES = {"10 us": (1e-5, 20_000), "100 us": (1e-4, 3_000), "1 ms": (1e-3, 400), "10 ms": (1e-2, 40)}
WORKERS = 2


def races(size: Size) -> list[Race]:
    return [_race(size, name, *SIZES[name]) for name in SIZES]


def _race(size: Size, name: str, seconds: float, tasks: int) -> Race:
    steps = steps_for(seconds) if size.name != "tiny" else 100
    load = Load(burn_task(steps), size.count(tasks), WORKERS)
    chosen = {key: contestants.MAIN[key] for key in (contestants.TASKER, contestants.EXECUTOR, contestants.BARE)}
    chosen["multiprocessing ThreadPool"] = contestants.PEERS["multiprocessing ThreadPool"]
    gone = []
    base = _Base()
    entrants = [
        Contestant(
            "bare call in a loop",
            lambda: base.set(bare(load)),
            "the work itself, one thread; the best quarter of its tasks",
        )
    ]
    entrants += [
        Contestant(key, _relative(base, lambda run=run: 1 / run(load)), remark)  # type: ignore[misc]
        for key, (run, remark) in chosen.items()
    ]
    if seconds >= 1e-3:
        gone = absent("loky")
        entrants.append(
            Contestant("ProcessPoolExecutor", _relative(base, lambda: processes(steps, load.count)), "2 processes")
        )
        if not gone:
            entrants.append(Contestant("loky", _relative(base, lambda: loky(steps, load.count)), "2 processes"))
    return Race(
        key=f"size-{name.replace(' ', '')}",
        title=f"Tasks of {name}, {WORKERS} workers",
        work=f"{load.count:,} tasks that compute for about {name} each.",
        figures=[OVERHEAD, EACH],
        contestants=entrants,
        rounds=size.rounds(7),
        absent=gone,
    )


class _Base:
    """The time of the bare work in this round, for the contestants after it."""

    def __init__(self) -> None:
        self.each = 1.0

    def set(self, each: float) -> dict[str, float]:
        self.each = each
        return {"overhead": 0.0, "each": each * 1e6}


def _relative(base: _Base, run: Callable[[], float]) -> Callable[[], dict[str, float]]:
    def measured() -> dict[str, float]:
        each = run()
        return {"overhead": 100 * (each / base.each - 1), "each": each * 1e6}

    return measured


def bare(load: Load) -> float:
    """Returns the seconds for a task: the best of four parts, because a disturbance can only make it longer, and all
    other contestants are compared with it."""
    task = load.task.plain
    part = max(1, load.count // 4)
    taken = []
    for _ in range(4):
        begin = clock()
        for _ in range(part):
            task()
        taken.append((clock() - begin) / part)
    return min(taken)


def processes(steps: int, count: int) -> float:
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _through(pool, steps, count)


def loky(steps: int, count: int) -> float:
    pool = peer("loky").ProcessPoolExecutor(WORKERS)
    try:
        return _through(pool, steps, count)
    finally:
        pool.shutdown()


def _through(pool: Any, steps: int, count: int) -> float:
    for future in [pool.submit(burn, 100_000) for _ in range(WORKERS * 4)]:
        future.result()
    begin = clock()
    futures = [pool.submit(burn, steps) for _ in range(count)]
    for future in futures:
        future.result()
    return (clock() - begin) / count
