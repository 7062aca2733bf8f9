"""Tasks, in the form in which each contestant calls them, so that none pays for an adapter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker import Config, TaskManager

clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Task:
    """The same work as ``task()``, ``task(ctx, resource)``, ``task(item)`` and ``task(worker_state, item)``."""

    plain: Callable[[], Any]
    owned: Callable[[Any, Any], Any]
    item: Callable[[Any], Any]
    stateful: Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Load:
    """A task, its number of runs, and the number of workers."""

    task: Task
    count: int
    workers: int


def noop() -> None:
    """Does nothing."""


def noop_owned(ctx: Any, resource: Any) -> None:
    """Does nothing."""


def noop_item(item: Any) -> None:
    """Does nothing."""


def noop_stateful(state: Any, item: Any) -> None:
    """Does nothing."""


NOOP = Task(noop, noop_owned, noop_item, noop_stateful)


def sleep_task(seconds: float) -> Task:
    """Returns a task that waits, as for a network."""
    sleep = time.sleep

    def plain() -> None:
        sleep(seconds)

    def owned(ctx: Any, resource: Any) -> None:
        sleep(seconds)

    def item(_: Any) -> None:
        sleep(seconds)

    def stateful(state: Any, _: Any) -> None:
        sleep(seconds)

    return Task(plain, owned, item, stateful)


def burn(steps: int) -> None:
    """Computes; holds the GIL."""
    for _ in range(steps):
        pass


def burn_task(steps: int) -> Task:
    """Returns a task that computes ``steps`` steps."""

    def plain() -> None:
        for _ in range(steps):
            pass

    def owned(ctx: Any, resource: Any) -> None:
        for _ in range(steps):
            pass

    def item(_: Any) -> None:
        for _ in range(steps):
            pass

    def stateful(state: Any, _: Any) -> None:
        for _ in range(steps):
            pass

    return Task(plain, owned, item, stateful)


def steps_for(seconds: float) -> int:
    """Returns the number of steps of ``burn`` that take so long on this machine."""
    sample = 20_000
    best = min(_timed(burn, sample) for _ in range(25))
    return max(1, int(sample * seconds / best))


def _timed(function: Callable[[int], None], steps: int) -> float:
    begin = clock()
    function(steps)
    return clock() - begin


def config(workers: int, **options: Any) -> Config[object]:
    """Returns a configuration of tasker with everything on: priorities, contextvars, metrics, retries. The number of
    workers is fixed, because that of its peers is."""
    return Config(
        **{
            "on_create": object,
            "on_destroy": noop_item,
            "worker_count": workers,
            "max_worker_count": workers,
            "max_retries": 3,
            "check_health": healthy,
            "resource_pool_size": 1,
            **options,
        }
    )


def healthy(error: BaseException) -> bool:
    """Blames no error of these tasks on the resource."""
    return True


def manager(workers: int, **options: Any) -> TaskManager[object]:
    """Returns a manager whose workers all run."""
    made = TaskManager(config(workers, **options))
    wait_until_all_run(lambda wait: made.submit(lambda ctx, resource: wait()), workers)
    return made


def burst(pool: TaskManager[object], tasks: int) -> None:
    """Submits no-op tasks and awaits them."""
    for future in [pool.submit(noop_owned) for _ in range(tasks)]:
        future.result()


def wait_until_all_run(submit: Callable[[Callable[[], Any]], Any], workers: int) -> None:
    """Returns once as many tasks have run at the same time as there are workers, so all of them exist."""
    barrier = threading.Barrier(workers + 1)
    for _ in range(workers):
        submit(barrier.wait)
    barrier.wait(120)
