"""Tasks that compute in Python: how much faster two workers are than one. Meaningful only without the GIL; with it, two
threads share one processor."""

from __future__ import annotations

import threading
from collections.abc import Callable

from benchmarks.machine import gil_is_on
from benchmarks.runner import Claim, Contestant, Figure, Race, Size
from benchmarks.work import clock, manager

STEPS = 20_000
ONE = Figure("one", "one thread", "s")
TWO = Figure("two", "two threads", "s")
SPEEDUP = Figure("speedup", "two are faster", "x", more_is_better=True)
TASKER, BARE = "tasker", "bare threads"


def races(size: Size) -> list[Race]:
    tasks = size.count(800)
    steps = size.count(STEPS)
    claims = [
        Claim(
            "tasks that compute, two workers",
            "at least 1.8x as fast as one",
            lambda outcome: outcome.of(TASKER, "speedup"),
            at_least=1.8,
        )
    ]
    return [
        Race(
            key="computing",
            title="Tasks that compute, 1 and 2 workers",
            work=f"{tasks:,} tasks of {steps:,} additions and multiplications, on one worker and on two.",
            figures=[SPEEDUP, ONE, TWO],
            contestants=[
                Contestant(TASKER, lambda: speedup(lambda threads: tasker(tasks, steps, threads))),
                Contestant(
                    BARE,
                    lambda: speedup(lambda threads: bare(tasks, steps, threads)),
                    "no pool, no queue: what the interpreter and the machine allow",
                ),
            ],
            rounds=size.rounds(15),
            claims=[] if gil_is_on() else claims,
        )
    ]


def compute(ctx: object, resource: object, steps: int) -> int:
    total = 0
    for step in range(steps):
        total += step * step
    return total


def speedup(seconds: Callable[[int], float]) -> dict[str, float]:
    one, two = seconds(1), seconds(2)
    return {"speedup": one / two, "one": one, "two": two}


def tasker(tasks: int, steps: int, workers: int) -> float:
    with manager(workers) as pool:
        begin = clock()
        for future in [pool.submit(compute, steps) for _ in range(tasks)]:
            future.result()
        return clock() - begin


def bare(tasks: int, steps: int, workers: int) -> float:
    def share() -> None:
        for _ in range(tasks // workers):
            compute(None, None, steps)

    threads = [threading.Thread(target=share) for _ in range(workers)]
    begin = clock()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clock() - begin
