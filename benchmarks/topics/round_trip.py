"""One task at a time: the time from `submit` until the caller has the result."""

from __future__ import annotations

import _thread
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.runner import Claim, Contestant, Figure, Race, Size, advantage
from benchmarks.work import clock, manager, noop, noop_owned, wait_until_all_run

P50 = Figure("p50", "p50", "us")
P99 = Figure("p99", "p99", "us")
MEAN = Figure("mean", "mean", "us")


def races(size: Size) -> list[Race]:
    trips = size.count(20_000, least=20)
    claims = [
        Claim(f"blocking round trip, {figure.label}", target, samples, at_most=bound)
        for figure in (P50, P99)
        for target, samples, bound in (
            ("no worse than ThreadPoolExecutor", _over("ThreadPoolExecutor", figure), 1.0),
            ("within 1.2x of a bare two-lock handoff", _over("bare two-lock handoff", figure), 1.2),
        )
    ]
    return [
        Race(
            key="round-trip",
            title="Blocking round trip, 1 worker",
            work=f"{trips:,} times: submit a task that does nothing, wait for its result, then the next.",
            figures=[P50, P99, MEAN],
            contestants=[
                Contestant("tasker", lambda: tasker(trips)),
                Contestant("ThreadPoolExecutor", lambda: executor(trips)),
                Contestant("hand-written, SimpleQueue both ways", lambda: two_queues(trips), "no outcome, no errors"),
                Contestant("bare two-lock handoff", lambda: handoff(trips), "the physical limit: wake one, be woken"),
            ],
            rounds=size.rounds(11),
            claims=claims,
            weight=1.5,
        )
    ]


def _over(other: str, figure: Figure) -> Callable[..., list[float]]:
    better = advantage(other, figure)
    return lambda outcome: [1 / value for value in better(outcome)]


def percentiles(seconds: list[float]) -> dict[str, float]:
    seconds.sort()
    last = len(seconds) - 1
    return {
        "p50": seconds[last // 2] * 1e6,
        "p99": seconds[int(last * 0.99)] * 1e6,
    }


def measured(trip: Callable[[], Any], trips: int) -> dict[str, float]:
    for _ in range(min(trips, 500)):
        trip()
    taken = []
    for _ in range(trips):
        begin = clock()
        trip()
        taken.append(clock() - begin)
    mean = sum(taken) / trips * 1e6
    return {**percentiles(taken), "mean": mean}


def tasker(trips: int) -> dict[str, float]:
    with manager(1) as pool:
        submit = pool.submit
        return measured(lambda: submit(noop_owned).result(), trips)


def executor(trips: int) -> dict[str, float]:
    with ThreadPoolExecutor(1) as pool:
        wait_until_all_run(pool.submit, 1)
        submit = pool.submit
        return measured(lambda: submit(noop).result(), trips)


def two_queues(trips: int) -> dict[str, float]:
    there: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
    back: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        while (job := there.get()) is not None:
            back.put(job())

    def trip() -> None:
        there.put(noop)
        back.get()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return measured(trip, trips)
    finally:
        there.put(None)
        thread.join()


def handoff(trips: int) -> dict[str, float]:
    asked, answered = _thread.allocate_lock(), _thread.allocate_lock()
    asked.acquire()
    answered.acquire()
    over = False

    def work() -> None:
        while True:
            asked.acquire()
            if over:
                return
            answered.release()

    def trip() -> None:
        asked.release()
        answered.acquire()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return measured(trip, trips)
    finally:
        over = True
        asked.release()
        thread.join()
