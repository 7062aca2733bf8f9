"""`metrics()` and `stats()`: the time of a call in an idle manager and in one under load, and its effect on the
load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from benchmarks.runner import RATE, Claim, Contestant, Figure, Race, Size, advantage
from benchmarks.topics.round_trip import percentiles
from benchmarks.work import clock, manager, noop_owned
from tasker import TaskManager

P50 = Figure("p50", "p50", "us")
P99 = Figure("p99", "p99", "us")
LOAD = Figure("rate", "load meanwhile", "/s", more_is_better=True)
WORKERS = 4
PAUSE_S = 0.01
WATCHED, ALONE = "tasker, watched", "tasker, nobody watches"


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
        _watching(20 * tasks, size),
    ]


def _watching(tasks: int, size: Size) -> Race:
    return Race(
        key="observing-exporters",
        title="What watching costs",
        work=f"{tasks:,} no-op tasks, submitted and awaited in bursts.",
        figures=[RATE],
        contestants=[
            Contestant(WATCHED, lambda: watched(tasks), "an exposition for Prometheus each second, and all events"),
            Contestant(ALONE, lambda: alone(tasks)),
        ],
        rounds=size.rounds(7),
        claims=[Claim("watching", "at most 5% of the throughput", advantage(ALONE, one=WATCHED), at_least=0.95)],
    )


def _call(pool: TaskManager[object], what: str) -> Callable[[], Any]:
    return {"metrics": pool.metrics, "stats": pool.stats, "name": lambda: pool.name}[what]


def _burst(pool: TaskManager[object], tasks: int) -> None:
    for future in [pool.submit(noop_owned) for _ in range(tasks)]:
        future.result()


def at_rest(what: str, tasks: int, calls: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        _burst(pool, tasks)
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
                _burst(pool, max(1, tasks // 20))
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


def alone(tasks: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        return _rate(pool, tasks)


def watched(tasks: int) -> dict[str, float]:
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  not without the GIL

    from tasker.exporters.prometheus import register  # noqa: PLC0415

    over, registry = threading.Event(), CollectorRegistry()

    def scrape() -> None:
        generate_latest(registry)
        while not over.wait(1.0):
            generate_latest(registry)

    with manager(WORKERS) as pool, pool.events(lambda event: None):
        register(pool, registry)
        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            return _rate(pool, tasks)
        finally:
            over.set()
            thread.join()


def _rate(pool: TaskManager[object], tasks: int) -> dict[str, float]:
    begin = clock()
    for _ in range(20):
        _burst(pool, max(1, tasks // 20))
    return {"rate": tasks / (clock() - begin)}
