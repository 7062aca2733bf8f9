"""Many threads submit to one pool at once; each waits for the results of its own tasks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

from benchmarks.runner import RATE, Contestant, Race, Size
from benchmarks.work import clock, manager, noop, noop_owned, wait_until_all_run

WORKERS = 4


def races(size: Size) -> list[Race]:
    return [_race(size, submitters) for submitters in (1, 8, 64)]


def _race(size: Size, submitters: int) -> Race:
    count = size.count(64_000, least=64)
    many = min(submitters, size.workers(submitters))
    return Race(
        key=f"submitters-{submitters}",
        title=f"No-op tasks, {submitters} submitter{'s' * (submitters > 1)}, {WORKERS} workers",
        work=f"{count:,} tasks that do nothing, in equal parts from {submitters}"
        f" thread{'s that start together' * (submitters > 1)}.",
        figures=[RATE],
        contestants=[
            Contestant("tasker", lambda: tasker(count, many)),
            Contestant("ThreadPoolExecutor", lambda: executor(count, many)),
            Contestant("multiprocessing ThreadPool", lambda: thread_pool(count, many)),
        ],
        rounds=size.rounds(7),
    )


def together(part: Callable[[int], Any], count: int, submitters: int) -> dict[str, float]:
    """Runs ``part(tasks)`` in ``submitters`` threads at the same time, with equal shares of ``count``."""
    share = count // submitters
    start = threading.Barrier(submitters + 1)
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()

    def run() -> None:
        start.wait()
        try:
            part(share)
        except BaseException as error:
            errors.put(error)

    threads = [threading.Thread(target=run) for _ in range(submitters)]
    for thread in threads:
        thread.start()
    start.wait()
    begin = clock()
    for thread in threads:
        thread.join()
    taken = clock() - begin
    if not errors.empty():
        raise errors.get()
    return {"rate": share * submitters / taken}


def tasker(count: int, submitters: int) -> dict[str, float]:
    with manager(WORKERS) as pool:
        submit = pool.submit

        def part(tasks: int) -> None:
            for future in [submit(noop_owned) for _ in range(tasks)]:
                future.result()

        return together(part, count, submitters)


def executor(count: int, submitters: int) -> dict[str, float]:
    with ThreadPoolExecutor(WORKERS) as pool:
        wait_until_all_run(pool.submit, WORKERS)
        submit = pool.submit

        def part(tasks: int) -> None:
            for future in [submit(noop) for _ in range(tasks)]:
                future.result()

        return together(part, count, submitters)


def thread_pool(count: int, submitters: int) -> dict[str, float]:
    with ThreadPool(WORKERS) as pool:
        wait_until_all_run(pool.apply_async, WORKERS)
        submit = pool.apply_async

        def part(tasks: int) -> None:
            for handle in [submit(noop) for _ in range(tasks)]:
                handle.get()

        return together(part, count, submitters)
