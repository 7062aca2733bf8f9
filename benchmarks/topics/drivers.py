"""Where one driver ends, and what then: several drivers on one cluster, calls of many items, values that travel once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.children import in_child
from benchmarks.over_ray import ways
from benchmarks.over_ray.cluster import address, here
from benchmarks.over_ray.driver import drivers
from benchmarks.runner import RATE, Claim, Contestant, Figure, Outcome, Race, Size
from benchmarks.work import clock
from tasker import Context, RayBackend

WORKERS = 8
ONE, TWO, WIDER = (
    f"1 driver, {WORKERS} actors",
    f"2 drivers, {WORKERS} actors each",
    f"1 driver, {2 * WORKERS} actors",
)
CPU = Figure("cpu", "processor time of the driver, a task", "us")
ITEMS = Figure("rate", "items/s", "/s", more_is_better=True)
BYTES = Figure("bytes", "content read by tasks", "MB/s", more_is_better=True)
MEGABYTES = 10


def races(size: Size) -> list[Race]:
    return [
        _drivers(size, "20 ms", 0.02, 2_000),
        _drivers(size, "no time", 0.0, 4_000),
        _items(size),
        _bytes(size),
        _crowd(size),
    ]


# Several drivers.


def _drivers(size: Size, name: str, seconds: float, tasks: int) -> Race:
    count, workers = size.count(tasks, 16), size.workers(WORKERS)
    return Race(
        key=f"drivers-{name.replace(' ', '')}",
        title=f"One driver and two on one cluster, tasks that take {name}",
        work=f"{count:,} tasks that sleep for {name}, in equal parts for each driver, which is a process of its own.",
        figures=[RATE, CPU],
        contestants=[
            Contestant(ONE, lambda: drivers(1, workers, seconds, count)),
            Contestant(TWO, lambda: drivers(2, workers, seconds, count)),
            Contestant(WIDER, lambda: drivers(1, 2 * workers, seconds, count)),
        ],
        rounds=size.rounds(5),
        claims=[Claim("two drivers, tasks of 20 ms", "at least 1.8x one driver", _gain, at_least=1.8)]
        if seconds
        else (),
        weight=2.0,
    )


def _gain(outcome: Outcome) -> list[float]:
    return outcome.ratio(TWO, ONE)


# Calls of many items.


def many(ctx: Context, resource: object, items: list[int]) -> list[int]:
    """Handles several items in one call."""
    return [2 * item for item in items]


def _items(size: Size) -> Race:
    return Race(
        key="drivers-items",
        title=f"Items that take no time, many in a call, {ways.WORKERS} actors",
        work="Numbers that are doubled, so many in each call, by one driver.",
        figures=[ITEMS],
        contestants=[
            Contestant(f"{each} in a call", _called_with(each, size.count(2_000, 8)), f"{size.count(2_000, 8):,} calls")
            for each in (1, 10, 100)
        ],
        rounds=size.rounds(5),
    )


def _called_with(each: int, calls: int) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        with ways.manager(ways.WORKERS) as manager:
            begun = clock()
            for future in [manager.submit(many, [*range(number, number + each)]) for number in range(calls)]:
                future.result()
            return {"rate": each * calls / (clock() - begun)}

    return run


# Something large.


def total(ctx: Context, resource: object, content: Any) -> int:
    """Reads a byte of every page of the content."""
    return sum(memoryview(content)[::4096])


class Reader(ways.Holder):
    """The actor of Ray's way."""

    def total(self, content: Any) -> int:
        return sum(memoryview(content)[::4096])


def _content(size: Size) -> Any:
    import numpy as np  # noqa: PLC0415  comes with what draws the plots

    return np.arange(max(4096, int(MEGABYTES * 1_000_000 * min(1.0, 100 * size.scale))), dtype=np.uint8)


def _bytes(size: Size) -> Race:
    content, count = _content(size), size.count(200, 8)
    return Race(
        key="drivers-bytes",
        title=f"A large argument, {ways.WORKERS} actors",
        work=f"{count} tasks that read an array of {content.nbytes:,} bytes, the same for all.",
        figures=[BYTES],
        contestants=[
            Contestant("tasker, `share`", lambda: _shared(content, count), "once into the object store"),
            Contestant("tasker, an argument", lambda: _passed(content, count), "through the driver for each task"),
            Contestant(
                "actor calls, `ray.put`", lambda: _put(content, count), "all at once; once into the object store"
            ),
            Contestant("actor calls, an argument", lambda: _given(content, count), "all at once"),
        ],
        rounds=size.rounds(5),
    )


def _read(content: Any, count: int, call: Callable[[], list[Any]], result: Callable[[Any], int]) -> dict[str, float]:
    begun, right = time.perf_counter(), sum(memoryview(content)[::4096])
    assert all(result(one) == right for one in call())
    return {"bytes": count * content.nbytes / (time.perf_counter() - begun) / 1e6}


def _passed(content: Any, count: int) -> dict[str, float]:
    with ways.manager(ways.WORKERS) as manager:
        return _read(
            content, count, lambda: [manager.submit(total, content) for _ in range(count)], lambda one: one.result()
        )


def _shared(content: Any, count: int) -> dict[str, float]:
    here()
    with RayBackend().share(content) as handle, ways.manager(ways.WORKERS) as manager:
        return _read(
            content, count, lambda: [manager.submit(total, handle) for _ in range(count)], lambda one: one.result()
        )


def _put(content: Any, count: int) -> dict[str, float]:
    return _given(here().put(content), count, content)


def _given(argument: Any, count: int, content: Any = None) -> dict[str, float]:
    with ways.actors(ways.WORKERS, Reader) as made:
        return _read(
            argument if content is None else content,
            count,
            lambda: [made[number % ways.WORKERS].total.remote(argument) for number in range(count)],
            here().get,
        )


# Many actors.


def _crowd(size: Size) -> Race:
    numbers = sorted({size.workers(number) for number in (4, 16, 64)})
    return Race(
        key="drivers-crowd",
        title="Many actors of one driver",
        work="Actors on this machine; tasks that sleep for 100 ms, twenty for each actor.",
        figures=[
            Figure("made", "all are there after", "s"),
            RATE,
            CPU,
            Figure("memory", "memory of the driver", "MB"),
            Figure("threads", "threads of the driver", "count"),
        ],
        contestants=[Contestant(f"{number} actors", _crowded(number, size.count(20, 2))) for number in numbers],
        rounds=size.rounds(3),
        least=2,
    )


def _crowded(actors: int, each: int) -> Callable[[], dict[str, float]]:
    found: Callable[[], dict[str, float]] = lambda: in_child(  # noqa: E731
        "benchmarks.over_ray.driver", "crowd", address(), actors, 0.1, actors * each
    )
    return found
