"""Tasks of mixed priorities, and tasks that fail."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count as counter
from typing import Any

from benchmarks.runner import RATE, Contestant, Race, Size
from benchmarks.work import clock, config, manager, noop, noop_owned, wait_until_all_run
from tasker import Priority, TaskManager

WORKERS = 4
LEVELS = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


def races(size: Size) -> list[Race]:
    return [_priorities(size), _failing(size)]


def _priorities(size: Size) -> Race:
    count = size.count(60_000, least=12)
    return Race(
        key="priorities",
        title="Mixed priorities, 4 workers",
        work=f"{count:,} tasks that do nothing, a third of each priority in turn, then the result of each.",
        figures=[RATE],
        contestants=[
            Contestant("tasker", lambda: {"rate": mixed(count)}),
            Contestant("tasker, all normal", lambda: {"rate": mixed(count, (Priority.NORMAL,) * 3)}),
            Contestant(
                "hand-written, PriorityQueue", lambda: {"rate": hand_written(count)}, "futures, a heap of tuples"
            ),
            Contestant("ThreadPoolExecutor", lambda: {"rate": executor(count)}, "knows no priorities"),
        ],
        rounds=size.rounds(7),
    )


def mixed(count: int, levels: tuple[Priority, ...] = LEVELS) -> float:
    with manager(WORKERS) as pool:
        submit = pool.submit
        begin = clock()
        futures = [submit(noop_owned, priority=level) for _ in range(count // 3) for level in levels]
        for future in futures:
            future.result()
        return count / (clock() - begin)


def executor(count: int) -> float:
    with ThreadPoolExecutor(WORKERS) as pool:
        wait_until_all_run(pool.submit, WORKERS)
        begin = clock()
        futures = [pool.submit(noop) for _ in range(count)]
        for future in futures:
            future.result()
        return count / (clock() - begin)


Jobs = queue.PriorityQueue[tuple[int, int, Callable[[], Any] | None, "Future[Any]"]]


def hand_written(count: int) -> float:
    jobs: Jobs = queue.PriorityQueue()
    number = counter()
    threads = [threading.Thread(target=_serve, args=(jobs,)) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    begin = clock()
    futures = []
    for _ in range(count // 3):
        for level in (0, 1, 2):
            future: Future[Any] = Future()
            jobs.put((level, next(number), noop, future))
            futures.append(future)
    for future in futures:
        future.result()
    taken = clock() - begin
    for _ in threads:
        jobs.put((3, next(number), None, Future()))
    for thread in threads:
        thread.join()
    return count / taken


def _serve(jobs: Jobs) -> None:
    while True:
        _, _, job, future = jobs.get()
        if job is None:
            return
        try:
            future.set_result(job())
        except Exception as error:
            future.set_exception(error)


class Unlucky(Exception):
    """Raised by one task in twenty."""


def fails() -> None:
    raise Unlucky


def fails_owned(ctx: Any, resource: Any) -> None:
    raise Unlucky


def _failing(size: Size) -> Race:
    count = size.count(40_000, least=40)
    return Race(
        key="failing",
        title="One task in twenty fails, 4 workers",
        work=f"{count:,} tasks that do nothing, but every twentieth raises; the error or the result of each is"
        " retrieved.",
        figures=[RATE],
        contestants=[
            Contestant("tasker", lambda: {"rate": failing(count)}, "`check_health` is asked: the resource is healthy"),
            Contestant("tasker, none fails", lambda: {"rate": failing(count, every=0)}),
            Contestant(
                "tasker, the resource is at fault",
                lambda: {"rate": unhealthy(count)},
                "one task in two hundred: the worker and its resource are replaced, and the task is tried again",
            ),
            Contestant("ThreadPoolExecutor", lambda: {"rate": executor_failing(count)}),
            Contestant("ThreadPoolExecutor, none fails", lambda: {"rate": executor_failing(count, every=0)}),
        ],
        rounds=size.rounds(7),
    )


def _tasks(count: int, good: Any, bad: Any, every: int) -> list[Any]:
    return [bad if every and n % every == 0 else good for n in range(count)]


def failing(count: int, every: int = 20) -> float:
    tasks = _tasks(count, noop_owned, fails_owned, every)
    with manager(WORKERS) as pool:
        submit = pool.submit
        begin = clock()
        futures = [submit(task) for task in tasks]
        for future in futures:
            future.exception()
        return count / (clock() - begin)


def executor_failing(count: int, every: int = 20) -> float:
    tasks = _tasks(count, noop, fails, every)
    with ThreadPoolExecutor(WORKERS) as pool:
        wait_until_all_run(pool.submit, WORKERS)
        begin = clock()
        futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.exception()
        return count / (clock() - begin)


class Sick:
    """A task that fails on its first call, as if the resource were broken."""

    def __init__(self) -> None:
        self.called = False

    def __call__(self, ctx: Any, resource: Any) -> None:
        if not self.called:
            self.called = True
            raise Unlucky


def unhealthy(count: int) -> float:
    tasks = [Sick() if n % 200 == 0 else noop_owned for n in range(count)]
    options = config(WORKERS, check_health=lambda error: not isinstance(error, Unlucky))
    with TaskManager(options) as pool:
        wait_until_all_run(lambda wait: pool.submit(lambda ctx, resource: wait()), WORKERS)
        begin = clock()
        futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.result()
        return count / (clock() - begin)
