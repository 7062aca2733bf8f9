"""A deep queue: the memory of a task while it waits, and how fast tasks are queued and drained.

Each run has a process of its own. The worker is blocked while the tasks are queued. Only the last future is kept, so
that the measured memory is that of the queue itself.
"""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from benchmarks.children import in_child, resident_bytes
from benchmarks.runner import Claim, Contestant, Figure, Outcome, Race, Size
from benchmarks.work import clock, manager, noop, noop_owned

TRACED = Figure("bytes", "allocated for a task", "B")
RESIDENT = Figure("resident", "memory of the process, for a task", "B")
QUEUED = Figure("queued", "queued", "/s", more_is_better=True)
DRAINED = Figure("drained", "drained", "/s", more_is_better=True)
SECONDS = Figure("seconds", "time to drain", "s")


def races(size: Size) -> list[Race]:
    depth = size.count(1_000_000)
    traced = depth if size.long else size.count(100_000)
    return [
        Race(
            key="memory",
            title="Memory of a queued task",
            work=f"{traced:,} tasks wait in the queue; what Python allocated for them is counted (tracemalloc).",
            figures=[TRACED],
            contestants=_contestants("traced", traced),
            rounds=size.rounds(3),
            claims=[
                Claim(
                    "memory per queued task, allocated",
                    "under half of ThreadPoolExecutor's",
                    _share("bytes"),
                    at_most=0.5,
                )
            ],
        ),
        Race(
            key="deep",
            title="A queue of a million tasks" if depth == 1_000_000 else f"A queue of {depth:,} tasks",
            work=f"{depth:,} tasks are queued while the only worker is blocked; then it is released and runs all of"
            " them.",
            figures=[QUEUED, DRAINED, SECONDS, RESIDENT],
            contestants=_contestants("deep", depth),
            rounds=size.rounds(5 if size.long else 3),
            claims=[
                Claim(
                    "memory per queued task, resident, 1,000,000 deep",
                    "under half of ThreadPoolExecutor's",
                    _share("resident"),
                    at_most=0.5,
                )
            ],
            least=2,
            weight=3.0,
        ),
    ]


def _share(figure: str) -> Callable[[Outcome], list[float]]:
    return lambda outcome: outcome.ratio("tasker", "ThreadPoolExecutor", figure)


def _contestants(function: str, depth: int) -> list[Contestant]:
    def child(contestant: str) -> Callable[[], dict[str, float]]:
        def run() -> dict[str, float]:
            figures: dict[str, float] = in_child(__name__, function, contestant, depth)
            return figures

        return run

    return [Contestant("tasker", child("tasker")), Contestant("ThreadPoolExecutor", child("executor"))]


Submit = Callable[[], "Future[Any]"]


def with_blocked_worker(
    contestant: str, inside: Callable[[Submit, Callable[[], None]], dict[str, float]]
) -> dict[str, float]:
    """Calls ``inside(submit, release)`` while the only worker is blocked."""
    gate = threading.Event()
    if contestant == "tasker":
        with manager(1) as pool:
            pool.submit(lambda ctx, resource: gate.wait())
            try:
                return inside(lambda: pool.submit(noop_owned), gate.set)
            finally:
                gate.set()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(gate.wait)
        try:
            return inside(lambda: executor.submit(noop), gate.set)
        finally:
            gate.set()


def traced(contestant: str, depth: int) -> dict[str, float]:
    def inside(submit: Submit, release: Callable[[], None]) -> dict[str, float]:
        for _ in range(100):
            submit()
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(depth):
                submit()
            return {"bytes": tracemalloc.get_traced_memory()[0] / depth}
        finally:
            tracemalloc.stop()

    return with_blocked_worker(contestant, inside)


def deep(contestant: str, depth: int) -> dict[str, float]:
    def inside(submit: Submit, release: Callable[[], None]) -> dict[str, float]:
        before = resident_bytes()
        begin = clock()
        for _ in range(depth - 1):
            submit()
        last = submit()
        queued = clock() - begin
        held = resident_bytes() - before
        begin = clock()
        release()
        last.result(600)
        drained = clock() - begin
        return {"queued": depth / queued, "drained": depth / drained, "seconds": drained, "resident": held / depth}

    return with_blocked_worker(contestant, inside)
