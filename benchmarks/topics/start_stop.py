"""Starting and stopping: the time until all workers run, and until all have ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool

from benchmarks.runner import Contestant, Figure, Race, Size
from benchmarks.work import clock, config, wait_until_all_run
from tasker import TaskManager

START = Figure("start", "start", "ms")
STOP = Figure("stop", "stop", "ms")


def races(size: Size) -> list[Race]:
    return [_race(size, workers) for workers in (1, 16, 1000)]


def _race(size: Size, workers: int) -> Race:
    number = size.workers(workers)
    return Race(
        key=f"start-{workers}",
        title=f"Start and stop, {workers:,} worker{'s' * (workers > 1)}",
        work="Start: until one task runs in each worker at the same time. Stop: until the last thread has ended.",
        figures=[START, STOP],
        contestants=[
            Contestant("tasker", lambda: tasker(number), "a resource is made and destroyed in each worker"),
            Contestant("ThreadPoolExecutor", lambda: executor(number)),
            Contestant("multiprocessing ThreadPool", lambda: thread_pool(number)),
        ],
        rounds=size.rounds(15 if workers < 1000 else 9),
    )


def _figures(begin: float, started: float, stopping: float) -> dict[str, float]:
    return {"start": (started - begin) * 1e3, "stop": (clock() - stopping) * 1e3}


def tasker(workers: int) -> dict[str, float]:
    begin = clock()
    pool = TaskManager(config(workers))
    wait_until_all_run(lambda wait: pool.submit(lambda ctx, resource: wait()), workers)
    started = clock()
    pool.stop()
    return _figures(begin, started, started)


def executor(workers: int) -> dict[str, float]:
    begin = clock()
    pool = ThreadPoolExecutor(workers)
    wait_until_all_run(pool.submit, workers)
    started = clock()
    pool.shutdown()
    return _figures(begin, started, started)


def thread_pool(workers: int) -> dict[str, float]:
    begin = clock()
    pool = ThreadPool(workers)
    wait_until_all_run(pool.apply_async, workers)
    started = clock()
    pool.close()
    pool.join()
    return _figures(begin, started, started)
