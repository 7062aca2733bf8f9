"""Tasks in child processes: what the way to another process and back costs in each library, and over a bare pipe."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory
from multiprocessing.connection import Connection
from pickle import PickleBuffer
from statistics import median, quantiles
from typing import Any

from benchmarks.peers import absent
from benchmarks.peers import load as peer
from benchmarks.runner import RATE, Claim, Contestant, Figure, Race, Size, advantage
from tasker import Config, Context, ProcessBackend, TaskManager

WORKERS = 2
EXECUTOR = "ProcessPoolExecutor"
PIPE = "bare pipe"
LARGE = 100_000_000
LATENCY = [Figure("p50", "p50", "us"), Figure("p99", "p99", "us")]
MOVE = Figure("time", "there, summed, and back", "ms")


def noop(number: int) -> int:
    """The task of the peers."""
    return number


def task(ctx: Context, resource: None, number: int) -> int:
    """The task of tasker."""
    return number


def with_state(state: Any, number: int) -> int:
    """The task of mpire."""
    return number


def begin(state: Any) -> None:
    """mpire's ``worker_init``, which makes its counterpart of a resource."""
    state["resource"] = None


def nothing() -> None:
    """Makes the resource, which is None."""


def races(size: Size) -> list[Race]:
    return [_throughput(size), _latency(size), _large(size)]


# No-op tasks.


def _throughput(size: Size) -> Race:
    many, few = size.count(50_000), size.count(4_000)
    gone = absent("loky", "pebble", "mpire", "deadpool")
    names = {one.name for one in gone}
    runs: dict[str, tuple[Callable[[int], float], int]] = {
        "tasker": (_tasker, many),
        EXECUTOR: (_executor, few),
        "loky": (_loky, few),
        "pebble": (_pebble, few),
        "mpire": (_mpire, few),
        "deadpool": (_deadpool, few),
    }
    contestants = [
        Contestant(name, _rated(run, count), f"{count:,} tasks")
        for name, (run, count) in runs.items()
        if name not in names
    ]
    claims = [
        Claim("process backend, no-op tasks", "at least 25x ProcessPoolExecutor", advantage(EXECUTOR), at_least=25.0),
        *(
            Claim("process backend, no-op tasks", f"ahead of {name}", advantage(name), at_least=1.0)
            for name in ("loky", "pebble", "mpire", "deadpool")
            if name not in names
        ),
    ]
    return Race(
        key="processes-noop",
        title="No-op tasks in 2 child processes",
        work="Tasks that return their number: all are submitted by one thread, then the result of each is retrieved. "
        "Fewer for those that take long.",
        figures=[RATE],
        contestants=contestants,
        rounds=size.rounds(7),
        claims=claims,
        absent=gone,
        weight=2.0,
    )


def _rated(run: Callable[[int], float], count: int) -> Callable[[], dict[str, float]]:
    return lambda: {"rate": run(count)}


def _manager(workers: int) -> TaskManager[None]:
    manager = TaskManager(
        Config(
            on_create=nothing,
            worker_count=workers,
            max_worker_count=workers,
            resource_pool_size=0,
            backend=ProcessBackend(),
        )
    )
    while manager.stats().active_workers < workers:
        time.sleep(0.001)
    return manager


def _tasker(count: int) -> float:
    with _manager(WORKERS) as manager:
        submit = manager.submit
        submit(task, 0).result()
        begun = time.perf_counter()
        for future in [submit(task, number) for number in range(count)]:
            future.result()
        return count / (time.perf_counter() - begun)


def _futures(pool: Any, count: int) -> float:
    for future in [pool.submit(noop, number) for number in range(2 * WORKERS)]:
        future.result()
    begun = time.perf_counter()
    for future in [pool.submit(noop, number) for number in range(count)]:
        future.result()
    return count / (time.perf_counter() - begun)


def _executor(count: int) -> float:
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _futures(pool, count)


def _loky(count: int) -> float:
    pool = peer("loky").ProcessPoolExecutor(WORKERS)
    try:
        return _futures(pool, count)
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _deadpool(count: int) -> float:
    # A backlog as long as all tasks, so that it queues them as the others do; ``submit`` waits where it is full.
    backlog = max(count, 2 * WORKERS)
    context = multiprocessing.get_context("spawn")
    with peer("deadpool").Deadpool(WORKERS, mp_context=context, max_backlog=backlog) as pool:
        return _futures(pool, count)


def _pebble(count: int) -> float:
    with peer("pebble").ProcessPool(WORKERS, context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.schedule(noop, args=[number]) for number in range(2 * WORKERS)]:
            future.result()
        begun = time.perf_counter()
        for future in [pool.schedule(noop, args=[number]) for number in range(count)]:
            future.result()
        return count / (time.perf_counter() - begun)


def _mpire(count: int) -> float:
    with peer("mpire").WorkerPool(n_jobs=WORKERS, start_method="spawn", use_worker_state=True) as pool:
        for asked in [pool.apply_async(with_state, (number,), worker_init=begin) for number in range(2 * WORKERS)]:
            asked.get()
        begun = time.perf_counter()
        for asked in [pool.apply_async(with_state, (number,), worker_init=begin) for number in range(count)]:
            asked.get()
        return count / (time.perf_counter() - begun)


# One task at a time.


def _latency(size: Size) -> Race:
    count = size.count(2_000)
    return Race(
        key="processes-round-trip",
        title="Round trip of one task to a child process and back",
        work=f"{count:,} times: one no-op task is submitted, and its result awaited. The bare pipe sends bytes to a "
        "process that sends them back.",
        figures=LATENCY,
        contestants=[
            Contestant("tasker", lambda: _tasker_trips(count)),
            Contestant(EXECUTOR, lambda: _executor_trips(count)),
            Contestant(PIPE, lambda: _pipe_trips(count), "`multiprocessing.Pipe`, no task at all"),
        ],
        rounds=size.rounds(5),
    )


def _trips(trip: Callable[[int], object], count: int) -> dict[str, float]:
    for number in range(min(50, count)):
        trip(number)
    took = []
    for number in range(count):
        begun = time.perf_counter()
        trip(number)
        took.append((time.perf_counter() - begun) * 1e6)
    return {"p50": median(took), "p99": quantiles(took, n=100)[98]}


def _tasker_trips(count: int) -> dict[str, float]:
    with _manager(1) as manager:
        return _trips(lambda number: manager.submit(task, number).result(), count)


def _executor_trips(count: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _trips(lambda number: pool.submit(noop, number).result(), count)


def _echo(end: Connection) -> None:
    while (said := end.recv_bytes()) != b"end":
        end.send_bytes(said)


def _pipe_trips(count: int) -> dict[str, float]:
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_echo, args=(far,), daemon=True)
    process.start()

    def trip(number: int) -> None:
        near.send_bytes(b"x" * 100)
        near.recv_bytes()

    try:
        return _trips(trip, count)
    finally:
        near.send_bytes(b"end")
        process.join()


# Something large.


def total(ctx: Context, resource: None, content: Any) -> int:
    """Reads a byte of every page of the content."""
    return sum(memoryview(content)[::4096])


def _total_shared(name: str, size: int) -> int:
    block = shared_memory.SharedMemory(name)
    try:
        assert block.buf is not None
        with memoryview(block.buf)[:size] as content:
            return sum(content[::4096])
    finally:
        block.close()


def _total_plain(content: bytearray) -> int:
    return sum(memoryview(content)[::4096])


def _large(size: Size) -> Race:
    content = bytearray(os.urandom(4096)) * max(1, size.count(LARGE, 4096) // 4096)
    return Race(
        key="processes-large",
        title="100 MB to a child process",
        work=f"One task with a bytearray of {len(content):,} bytes, of which it reads a byte of each page.",
        figures=[MOVE],
        contestants=[
            Contestant(
                "tasker",
                lambda: _large_tasker(content),
                "`pickle.PickleBuffer(content)` as the argument, as numpy does it",
            ),
            Contestant("shared memory by hand", lambda: _large_shared(content), f"`SharedMemory` and `{EXECUTOR}`"),
            Contestant(EXECUTOR, lambda: _large_executor(content)),
        ],
        rounds=size.rounds(5),
        claims=[
            Claim(
                "process backend, 100 MB",
                "no slower than shared memory by hand",
                advantage("shared memory by hand", MOVE),
                at_least=1.0,
            )
        ],
    )


def _milliseconds(call: Callable[[], object]) -> dict[str, float]:
    call()
    begun = time.perf_counter()
    call()
    return {"time": (time.perf_counter() - begun) * 1e3}


def _large_tasker(content: bytearray) -> dict[str, float]:
    with _manager(1) as manager:
        return _milliseconds(lambda: manager.queue_task(total, PickleBuffer(content)))


def _large_executor(content: bytearray) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _milliseconds(lambda: pool.submit(_total_plain, content).result())


def _large_shared(content: bytearray) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:

        def call() -> int:
            block = shared_memory.SharedMemory(create=True, size=len(content))
            try:
                assert block.buf is not None
                block.buf[: len(content)] = content
                return pool.submit(_total_shared, block.name, len(content)).result()
            finally:
                block.close()
                block.unlink()

        return _milliseconds(call)
