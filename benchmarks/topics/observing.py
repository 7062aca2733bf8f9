"""`metrics()` and `stats()`: the time of a call in an idle manager and in one under load, and its effect on the
load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from benchmarks.runner import Contestant, Figure, Race, Size
from benchmarks.topics import watching
from benchmarks.topics.round_trip import percentiles
from benchmarks.work import burst, clock, manager
from tasker import TaskManager

P50 = Figure("p50", "p50", "us")
P99 = Figure("p99", "p99", "us")
LOAD = Figure("rate", "load meanwhile", "/s", more_is_better=True)
WORKERS = 4
PAUSE_S = 0.01


def races(size: Size) -> list[Race]:
    tasks = size.count(50_000)
    calls = size.count(2_000)
    return [
        Race(
            key="observing-rest",
            title="metrics() and stats() at rest",
            work=f"{calls:,} calls, in a manager of {WORKERS} workers that did {tasks:,} tasks and is idle.",
            figures=[P50, P99],
            contestants=[
                Contestant("metrics()", lambda: at_rest("metrics", tasks, calls)),
                Contestant("stats()", lambda: at_rest("stats", tasks, calls)),
            ],
            rounds=size.rounds(5),
        ),
        Race(
            key="observing-load",
            title="metrics() and stats() under load",
            work=f"A call every {PAUSE_S * 1000:g} ms, while another thread submits and awaits {4 * tasks:,} no-op "
            "tasks in bursts. A call has to wait for the GIL like every thread (5 ms at a time), so this is what a "
            "caller sees, not what the call costs.",
            figures=[LOAD, P50, P99],
            contestants=[
                Contestant("metrics()", lambda: under_load("metrics", 4 * tasks)),
                Contestant("stats()", lambda: under_load("stats", 4 * tasks)),
                Contestant("nothing but the pause", lambda: under_load("name", 4 * tasks), "reads an attribute"),
            ],
            rounds=size.rounds(7),
        ),
        watching.race(20 * tasks, size),
    ]


def _call(pool: TaskManager[object], what: str) -> Callable[[], Any]:
    return {"metrics": pool.metrics, "stats": pool.stats, "name": lambda: pool.name}[what]


def at_rest(what: str, tasks: int, calls: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        burst(pool, tasks)
        call = _call(pool, what)
        taken: list[float] = []
        for _ in range(calls):
            begin = clock()
            call()
            taken.append(clock() - begin)
        return percentiles(taken)


def under_load(what: str, tasks: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        over = threading.Event()
        rates = []

        def load() -> None:
            begin = clock()
            for _ in range(20):
                burst(pool, max(1, tasks // 20))
            rates.append(tasks / (clock() - begin))
            over.set()

        thread = threading.Thread(target=load)
        call = _call(pool, what)
        taken: list[float] = []
        thread.start()
        while not over.wait(PAUSE_S) or not taken:
            begin = clock()
            call()
            taken.append(clock() - begin)
        thread.join()
        return {"rate": rates[0], **percentiles(taken)}
