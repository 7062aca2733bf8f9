"""How each library runs a ``Load`` on threads, as its own documentation recommends. All return tasks a second.

The workers are started before the clock starts, and end after it has stopped. *One by one*: each task is submitted by
itself, and its outcome is retrieved by itself. *In chunks*: the library cuts a list of inputs into chunks and passes a
chunk to a worker, so it passes far fewer objects, but a single task can't be urgent, and is not done before its chunk
is.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

from benchmarks.peers import load as peer
from benchmarks.runner import Absent, Contestant
from benchmarks.work import Load, clock, manager, wait_until_all_run

CHUNKS = "in chunks: its work list is handed over in pieces"
FLOOR = "a floor, not a pool: no outcome for each task, no errors, no priorities"


def tasker(load: Load, **options: Any) -> float:
    with manager(load.workers, **options) as pool:
        submit, task = pool.submit, load.task.owned
        begin = clock()
        futures = [submit(task) for _ in range(load.count)]
        for future in futures:
            future.result()
        return load.count / (clock() - begin)


def executor(load: Load) -> float:
    with ThreadPoolExecutor(load.workers) as pool:
        wait_until_all_run(pool.submit, load.workers)
        submit, task = pool.submit, load.task.plain
        begin = clock()
        futures = [submit(task) for _ in range(load.count)]
        for future in futures:
            future.result()
        return load.count / (clock() - begin)


def thread_pool(load: Load) -> float:
    with ThreadPool(load.workers) as pool:
        wait_until_all_run(pool.apply_async, load.workers)
        submit, task = pool.apply_async, load.task.plain
        begin = clock()
        handles = [submit(task) for _ in range(load.count)]
        for handle in handles:
            handle.get()
        return load.count / (clock() - begin)


def thread_pool_chunks(load: Load) -> float:
    with ThreadPool(load.workers) as pool:
        wait_until_all_run(pool.apply_async, load.workers)
        begin = clock()
        pool.map(load.task.item, range(load.count))
        return load.count / (clock() - begin)


def pebble(load: Load) -> float:
    with peer("pebble").ThreadPool(load.workers) as pool:
        wait_until_all_run(pool.schedule, load.workers)
        schedule, task = pool.schedule, load.task.plain
        begin = clock()
        futures = [schedule(task) for _ in range(load.count)]
        for future in futures:
            future.result()
        return load.count / (clock() - begin)


def joblib(load: Load) -> float:
    """joblib chooses the size of its batches itself."""
    library = peer("joblib")
    delayed, task = library.delayed, load.task.plain
    with library.Parallel(load.workers, backend="threading") as parallel:
        parallel(delayed(task)() for _ in range(load.workers))
        begin = clock()
        parallel(delayed(task)() for _ in range(load.count))
        return load.count / (clock() - begin)


def _give_state(state: dict[str, object]) -> None:
    state["resource"] = object()


def mpire_chunks(load: Load) -> float:
    """With ``worker_init`` and ``worker_state``, by which mpire gives a worker a resource."""
    pool = peer("mpire").WorkerPool(
        n_jobs=load.workers, start_method="threading", use_worker_state=True, keep_alive=True
    )
    with pool:
        pool.map(load.task.stateful, range(load.workers), worker_init=_give_state)
        begin = clock()
        pool.map(load.task.stateful, range(load.count), worker_init=_give_state)
        return load.count / (clock() - begin)


def mpire(load: Load) -> float:
    pool = peer("mpire").WorkerPool(n_jobs=load.workers, start_method="threading", use_worker_state=True)
    with pool:
        task = load.task.stateful
        pool.apply_async(task, (0,), worker_init=_give_state).get()
        begin = clock()
        handles = [pool.apply_async(task, (0,), worker_init=_give_state) for _ in range(load.count)]
        for handle in handles:
            handle.get()
        rate = load.count / (clock() - begin)
        pool.stop_and_join()
    return rate


def queue_recipe(load: Load) -> float:
    """The recipe in the documentation of ``queue.Queue``: ``task_done`` and ``join``."""
    jobs: queue.Queue[Callable[[], Any] | None] = queue.Queue()

    def work() -> None:
        while (job := jobs.get()) is not None:
            job()
            jobs.task_done()

    threads = _started(work, load.workers)
    task = load.task.plain
    begin = clock()
    for _ in range(load.count):
        jobs.put(task)
    jobs.join()
    rate = load.count / (clock() - begin)
    _ended(threads, jobs.put)
    return rate


def bare_queue(load: Load) -> float:
    """Threads that take tasks from a ``SimpleQueue`` and put results into another: the minimum."""
    jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        get, put = jobs.get, results.put
        while (job := get()) is not None:
            put(job())

    threads = _started(work, load.workers)
    task = load.task.plain
    put, get = jobs.put, results.get
    begin = clock()
    for _ in range(load.count):
        put(task)
    for _ in range(load.count):
        get()
    rate = load.count / (clock() - begin)
    _ended(threads, jobs.put)
    return rate


def _started(work: Callable[[], None], workers: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    return threads


def _ended(threads: list[threading.Thread], put: Callable[[None], None]) -> None:
    for _ in threads:
        put(None)
    for thread in threads:
        thread.join()


Measure = Callable[[Load], float]
"""Runs a load and returns tasks a second."""

TASKER = "tasker"
EXECUTOR = "ThreadPoolExecutor"
QUEUE = "hand-written, queue.Queue"
BARE = "hand-written, SimpleQueue"

MAIN: dict[str, tuple[Measure, str]] = {
    TASKER: (tasker, ""),
    EXECUTOR: (executor, ""),
    BARE: (bare_queue, FLOOR),
}
PEERS: dict[str, tuple[Measure, str]] = {
    QUEUE: (queue_recipe, "outcomes are not kept: it only reports that all are done"),
    "multiprocessing ThreadPool": (thread_pool, ""),
    "multiprocessing ThreadPool.map": (thread_pool_chunks, CHUNKS),
    "pebble ThreadPool": (pebble, ""),
    "joblib threading": (joblib, CHUNKS + ", of a size that it finds by itself"),
    "mpire threading": (mpire, "`apply_async`, with worker_init and worker_state"),
    "mpire threading, map": (mpire_chunks, CHUNKS + "; with worker_init and worker_state"),
}
_NEEDS = {"pebble ThreadPool": "pebble", "joblib threading": "joblib", "mpire threading": "mpire"} | {
    "mpire threading, map": "mpire"
}


def of(load: Load, measures: dict[str, tuple[Measure, str]], absent: list[Absent]) -> list[Contestant]:
    """Returns a contestant with that load for each measure whose library is installed."""
    missing = {one.name for one in absent}
    return [
        Contestant(name, _rate_of(measure, load), remark)
        for name, (measure, remark) in measures.items()
        if _NEEDS.get(name) not in missing
    ]


def _rate_of(measure: Measure, load: Load) -> Callable[[], dict[str, float]]:
    return lambda: {"rate": measure(load)}
