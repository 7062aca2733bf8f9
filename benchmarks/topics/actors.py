"""Tasks over Ray: tasker, the bare calls of actors, and Ray's own pools of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median, quantiles

from benchmarks.over_ray import ways
from benchmarks.over_ray.cluster import here
from benchmarks.over_ray.ways import IN_TURN, TASKER, WAYS, WORKERS
from benchmarks.peers import absent
from benchmarks.runner import RATE, Absent, Claim, Contestant, Figure, Race, Size, advantage

SIZES = {"no time": (0.0, 1_000), "1 ms": (0.001, 1_000), "10 ms": (0.01, 400), "100 ms": (0.1, 80)}
P50 = Figure("p50", "p50", "us")
LATENCY = [P50, Figure("p99", "p99", "us")]
ALMOST = 0.9
"""As fast as a bare call, but for a tenth."""
ONE = "bare actor call"


def races(size: Size) -> list[Race]:
    return [*(_throughput(size, name, *SIZES[name]) for name in SIZES), _latency(size)]


def _throughput(size: Size, name: str, seconds: float, tasks: int) -> Race:
    count = size.count(tasks, 8)
    gone = [Absent(way, one.why) for way, needs in ways.NEEDS.items() for one in absent(*needs)[:1]]
    missing = {one.name for one in gone}
    return Race(
        key=f"actors-{name.replace(' ', '')}",
        title=f"Tasks over Ray that take {name}, {WORKERS} actors",
        work=f"{count:,} tasks that sleep for {name}: all are given over, then all results are taken.",
        figures=[RATE],
        contestants=[
            Contestant(way, _rated(run, seconds, count), remark)
            for way, (run, remark) in WAYS.items()
            if way not in missing
        ],
        rounds=size.rounds(5),
        claims=[
            Claim(
                f"actors, tasks of {name}",
                "at most 10% slower than bare actor calls, one in flight each",
                advantage(IN_TURN),
                at_least=ALMOST,
            )
        ],
        absent=gone,
        weight=2.0,
    )


def _rated(run: ways.Way, seconds: float, count: int) -> Callable[[], dict[str, float]]:
    return lambda: {"rate": run(seconds, count)}


# One task after the other.


def _latency(size: Size) -> Race:
    count = size.count(500, 20)
    return Race(
        key="actors-latency",
        title="Round trip of one task over Ray, 1 actor",
        work=f"A task that does nothing is given over and its result is awaited, {count:,} times.",
        figures=LATENCY,
        contestants=[
            Contestant(TASKER, lambda: _tasker(count), "`submit(...).result()`"),
            Contestant(ONE, lambda: _actor(count), "`ray.get(actor.work.remote())`"),
            Contestant(ways.POOL, lambda: _pool(count), "`submit`, `get_next`"),
            Contestant(ways.PLAIN, lambda: _plain(count)),
        ],
        rounds=size.rounds(7),
        claims=[
            Claim(
                "actors, round trip, p50",
                "at most 10% slower than the bare actor call",
                advantage(ONE, P50),
                at_least=ALMOST,
            )
        ],
    )


def _trips(trip: Callable[[], object], count: int) -> dict[str, float]:
    for _ in range(min(50, count)):
        trip()
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        trip()
        took.append((time.perf_counter() - begun) * 1e6)
    return {"p50": median(took), "p99": quantiles(took, n=100)[98]}


def _tasker(count: int) -> dict[str, float]:
    with ways.manager(1) as manager:
        return _trips(lambda: manager.submit(ways.task, 0.0).result(), count)


def _actor(count: int) -> dict[str, float]:
    ray = here()
    with ways.actors(1) as (actor,):
        return _trips(lambda: ray.get(actor.work.remote(0.0)), count)


def _pool(count: int) -> dict[str, float]:
    here()
    from ray.util import ActorPool  # noqa: PLC0415  not for those who have no Ray

    with ways.actors(1) as made:
        pool = ActorPool(made)

        def trip() -> None:
            pool.submit(lambda actor, value: actor.work.remote(value), 0.0)
            pool.get_next()

        return _trips(trip, count)


def _plain(count: int) -> dict[str, float]:
    ray, remote = here(), ways.plain_task(1)
    return _trips(lambda: ray.get(remote(0.0)), count)
