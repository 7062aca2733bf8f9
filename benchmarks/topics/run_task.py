"""`run_task`: a task in the caller's own thread, with a pooled resource."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from benchmarks.runner import Claim, Contestant, Figure, Outcome, Race, Size
from benchmarks.work import clock, manager, noop_owned

CALL = Figure("call", "a call", "us")
BARE, TASKER, POOL, LOCAL = "bare call", "tasker", "hand-written pool, LifoQueue", "threading.local"


def races(size: Size) -> list[Race]:
    calls = size.count(100_000)
    return [
        Race(
            key="run-task",
            title="run_task with a pooled resource",
            work=f"{calls:,} calls of a task that does nothing, one after the other, in one thread.",
            figures=[CALL],
            contestants=[
                Contestant(TASKER, lambda: tasker(calls)),
                Contestant(POOL, lambda: hand_written(calls), "get, try, finally put; no replacement, no metrics"),
                Contestant(LOCAL, lambda: thread_local(calls), "a resource for each thread, never closed or replaced"),
                Contestant(BARE, lambda: bare(calls), "the physical limit"),
            ],
            rounds=size.rounds(15),
            claims=[
                Claim(
                    "run_task with a pooled resource",
                    "under 3 us over the bare call",
                    over_bare,
                    at_most=3.0,
                    unit="us",
                )
            ],
        )
    ]


def over_bare(outcome: Outcome) -> list[float]:
    return [a - b for a, b in zip(outcome.of(TASKER, "call"), outcome.of(BARE, "call"), strict=True)]


def measured(call: Callable[[Callable[[Any, Any], Any]], Any], calls: int) -> dict[str, float]:
    begin = clock()
    for _ in range(calls):
        call(noop_owned)
    return {"call": (clock() - begin) / calls * 1e6}


def tasker(calls: int) -> dict[str, float]:
    with manager(1) as pool:
        return measured(pool.run_task, calls)


def hand_written(calls: int) -> dict[str, float]:
    idle: queue.LifoQueue[object] = queue.LifoQueue()
    idle.put(object())

    def call(task: Callable[[Any, Any], Any]) -> Any:
        resource = idle.get()
        try:
            return task(None, resource)
        finally:
            idle.put(resource)

    return measured(call, calls)


def thread_local(calls: int) -> dict[str, float]:
    own = threading.local()

    def call(task: Callable[[Any, Any], Any]) -> Any:
        try:
            resource = own.resource
        except AttributeError:
            resource = own.resource = object()
        return task(None, resource)

    return measured(call, calls)


def bare(calls: int) -> dict[str, float]:
    resource = object()
    begin = clock()
    for _ in range(calls):
        noop_owned(None, resource)
    return {"call": (clock() - begin) / calls * 1e6}
