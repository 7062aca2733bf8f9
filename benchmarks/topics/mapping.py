"""`map` over inputs that are made as they are read. Each run has a process of its own, so that its memory can be
measured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from typing import Any

from benchmarks.children import in_child, peak_bytes
from benchmarks.contestants import CHUNKS
from benchmarks.runner import RATE, Claim, Contestant, Figure, Outcome, Race, Size, advantage
from benchmarks.work import clock, manager, wait_until_all_run

PEAK = Figure("peak", "memory it took", "MB")
ALLOWED_MB = 8.0
"""The growth of memory, for ten times as many inputs, that still counts as constant: the noise of the allocator, which
is far below what a million kept results would take."""
FEWER = "tasker, a tenth of the inputs"


def races(size: Size) -> list[Race]:
    count = size.count(1_000_000, least=20)
    names = {"tasker": "tasker", "tasker, unordered": "unordered", "Executor.map": "executor"}
    remarks = {"Executor.map": "ThreadPoolExecutor; submits all before it yields the first"}
    if sys.version_info >= (3, 14):
        names["Executor.map, buffersize=1,000"] = "buffered"
    names["multiprocessing ThreadPool.imap"] = "imap"
    remarks["multiprocessing ThreadPool.imap"] = CHUNKS + " (chunksize=1,000); reads all inputs ahead"
    contestants = [Contestant(name, _child(way, count), remarks.get(name, "")) for name, way in names.items()]
    return [
        Race(
            key="map",
            title=f"map over {count:,} lazy inputs, 4 workers",
            work=f"A task that returns its input, mapped over range({count:,}); the results are read one by one.",
            figures=[RATE, PEAK],
            contestants=[*contestants, Contestant(FEWER, _child("tasker", max(2, count // 10)))],
            rounds=size.rounds(9 if size.long else 3),
            claims=[
                Claim(
                    f"map over {count:,} lazy inputs",
                    "at least 5x Executor.map",
                    advantage("Executor.map"),
                    at_least=5.0,
                ),
                Claim(
                    "map, more memory for ten times the inputs",
                    f"constant: under {ALLOWED_MB:g} MB more",
                    _growth,
                    at_most=ALLOWED_MB,
                    unit="MB",
                ),
            ],
            least=2,
            weight=4.0,
        )
    ]


def _growth(outcome: Outcome) -> list[float]:
    return [a - b for a, b in zip(outcome.of("tasker", "peak"), outcome.of(FEWER, "peak"), strict=True)]


def _child(way: str, count: int) -> Callable[[], dict[str, float]]:
    def run() -> dict[str, float]:
        figures: dict[str, float] = in_child(__name__, "mapped", way, count)
        return figures

    return run


def owned(ctx: Any, resource: Any, item: int) -> int:
    return item


def plain(item: int) -> int:
    return item


def mapped(way: str, count: int) -> dict[str, float]:
    with WAYS[way](range(count)) as start:
        before = peak_bytes()
        begin = clock()
        total = sum(start())
        taken = clock() - begin
        if total != count * (count - 1) // 2:
            raise AssertionError(f"results were lost: {total}")
        return {"rate": count / taken, "peak": (peak_bytes() - before) / 1e6}


Start = Callable[[], Iterator[int]]


@contextmanager
def tasker(inputs: range, ordered: bool = True) -> Iterator[Start]:
    with manager(4) as pool:
        yield lambda: pool.map(owned, iter(inputs), ordered=ordered)


def unordered(inputs: range) -> Any:
    return tasker(inputs, ordered=False)


@contextmanager
def executor(inputs: range, **options: Any) -> Iterator[Start]:
    with ThreadPoolExecutor(4) as pool:
        wait_until_all_run(pool.submit, 4)
        yield lambda: pool.map(plain, iter(inputs), **options)


def buffered(inputs: range) -> Any:
    return executor(inputs, buffersize=1000)


@contextmanager
def imap(inputs: range) -> Iterator[Start]:
    with ThreadPool(4) as pool:
        wait_until_all_run(pool.apply_async, 4)
        yield lambda: pool.imap(plain, iter(inputs), chunksize=1000)


WAYS: dict[str, Callable[[range], Any]] = {
    "tasker": tasker,
    "unordered": unordered,
    "executor": executor,
    "buffered": buffered,
    "imap": imap,
}
