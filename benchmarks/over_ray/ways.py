"""How tasks are run over Ray, by tasker and in Ray's own ways, each as its documentation recommends. All return tasks a second.

A task sleeps, so that a machine with few cores can run several at once. The actors run before the clock starts, and
their end does not count.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.over_ray.cluster import here
from benchmarks.work import clock
from tasker import Config, Context, RayBackend, TaskManager

WORKERS = 4
TASKER = "tasker"
IN_TURN = "actor calls, one in flight each"
AT_ONCE = "actor calls, all at once"
POOL = "ActorPool"
PLAIN = "plain tasks"
DATA = "Ray Data map_batches"


def work(seconds: float) -> int:
    """The work itself. Returns the process that it was done in."""
    if seconds:
        time.sleep(seconds)
    return os.getpid()


def task(ctx: Context, resource: object, seconds: float) -> int:
    """The task of tasker."""
    return work(seconds)


class Holder:
    """The actor of Ray's ways. It has a resource, too."""

    def __init__(self) -> None:
        self.resource = object()

    def work(self, seconds: float) -> int:
        return work(seconds)


@contextmanager
def manager(workers: int, cpus: float = 0, **options: Any) -> Iterator[TaskManager[object]]:
    """A manager all of whose actors are there. ``cpus``: the processors of a node that each takes."""
    here()
    config = Config(
        on_create=object,
        worker_count=workers,
        max_worker_count=workers,
        resource_pool_size=0,
        backend=RayBackend(num_cpus=cpus),
        **options,
    )
    with TaskManager(config) as made:
        while made.stats().active_workers < workers:
            time.sleep(0.01)
        for future in [made.submit(task, 0.05) for _ in range(2 * workers)]:
            future.result()
        yield made


@contextmanager
def actors(workers: int, kind: type = Holder, cpus: float = 0, **options: Any) -> Iterator[list[Any]]:
    """As many actors of Ray's."""
    ray = here()
    made = [ray.remote(kind).options(num_cpus=cpus, **options).remote() for _ in range(workers)]
    try:
        ray.get([actor.work.remote(0.05) for actor in made for _ in range(2)])
        yield made
    finally:
        for actor in made:
            ray.kill(actor)


def tasker(seconds: float, count: int) -> float:
    with manager(WORKERS) as pool:
        begun = clock()
        for future in [pool.submit(task, seconds) for _ in range(count)]:
            future.result()
        return count / (clock() - begun)


def in_turn(seconds: float, count: int) -> float:
    """Each actor gets a call when it has answered the last one, as tasker does it."""
    ray = here()
    with actors(WORKERS) as made:
        idle, pending = deque(made), dict[Any, Any]()
        begun = clock()
        for _ in range(count):
            if not idle:
                (answered,), _ = ray.wait([*pending], num_returns=1)
                ray.get(answered)
                idle.append(pending.pop(answered))
            actor = idle.popleft()
            pending[actor.work.remote(seconds)] = actor
        ray.get([*pending])
        return count / (clock() - begun)


def at_once(seconds: float, count: int) -> float:
    """All calls are made, to one actor after the other, whether or not they have answered."""
    ray = here()
    with actors(WORKERS) as made:
        begun = clock()
        ray.get([made[number % WORKERS].work.remote(seconds) for number in range(count)])
        return count / (clock() - begun)


def actor_pool(seconds: float, count: int) -> float:
    from ray.util import ActorPool  # noqa: PLC0415  not for those who have no Ray

    with actors(WORKERS) as made:
        pool, begun = ActorPool(made), clock()
        for _ in pool.map_unordered(lambda actor, value: actor.work.remote(value), [seconds] * count):
            pass
        return count / (clock() - begun)


def plain_task(workers: int, function: Callable[..., Any] = work, cpus: float = 0) -> Callable[..., Any]:
    """Returns what calls a function as a task of Ray's. Unless it is said what each takes, as many run at once as if there were
    so many workers."""
    ray = here()
    options = {"num_cpus": cpus or ray.cluster_resources()["CPU"] / workers}
    warm = ray.remote(work).options(**options).remote
    ray.get([warm(0.05) for _ in range(4 * workers)])
    remote: Callable[..., Any] = ray.remote(function).options(**options).remote
    return remote


def plain_tasks(seconds: float, count: int) -> float:
    remote = plain_task(WORKERS)
    begun = clock()
    here().get([remote(seconds) for _ in range(count)])
    return count / (clock() - begun)


class BatchHolder:
    """The class for Ray Data, which has batches of one item here, since a task is one item."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        return {"pid": [work(float(seconds)) for seconds in batch["seconds"]], "began": [began] * len(batch["seconds"])}


def batches(items: list[dict[str, Any]], workers: int, kind: type = BatchHolder, cpus: float = 0) -> list[Any]:
    """Returns the rows that Ray Data has made of the items, in batches of one."""
    here()
    from ray import data  # noqa: PLC0415  it has requirements of its own

    data.DataContext.get_current().enable_progress_bars = False
    strategy = data.ActorPoolStrategy(size=workers)
    rows: list[Any] = data.from_items(items).map_batches(kind, batch_size=1, compute=strategy, num_cpus=cpus).take_all()
    return rows


def ray_data(seconds: float, count: int) -> float:
    """From the start of the first task on, since the actors are made within the call."""
    rows = batches([{"seconds": seconds}] * count, WORKERS)
    first: float = min(row["began"] for row in rows)
    return count / (time.monotonic() - first)


Way = Callable[[float, int], float]
WAYS: dict[str, tuple[Way, str]] = {
    TASKER: (tasker, ""),
    IN_TURN: (in_turn, "`ray.wait`, and the next call to the actor that has answered"),
    AT_ONCE: (at_once, "in turns; no priorities, and what waits in an actor's queue is lost with it"),
    POOL: (actor_pool, "`map_unordered`"),
    PLAIN: (plain_tasks, "no actor and no resource; as many at once"),
    DATA: (ray_data, "`ActorPoolStrategy`, batches of one item; the start of its actors does not count"),
}
NEEDS = {DATA: ("pyarrow", "pandas")}
"""What a way needs beside Ray."""
