"""A driver in a process of its own: a program with a manager over actors of a cluster that others use as well."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.children import in_child, resident_bytes
from benchmarks.over_ray import ways
from benchmarks.over_ray.cluster import address
from tasker import Config, RayBackend, TaskManager

LIMIT = 600.0
"""Seconds that the drivers wait for each other."""


def drivers(number: int, workers: int, seconds: float, count: int) -> dict[str, float]:
    """Has as many drivers run ``count`` tasks in equal parts, at the same time, with ``workers`` actors each.

    Returns the rate of all of them, and the processor time that a task costs its driver.
    """
    where = address()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(number) as pool:
        running = [
            pool.submit(in_child, __name__, "drive", where, workers, seconds, count // number, folder)
            for _ in range(number)
        ]
        _await_files(Path(folder), number, lambda: any(one.done() for one in running))
        (Path(folder) / "go").touch()
        found: list[dict[str, float]] = [one.result() for one in running]
    taken = max(one["ended"] for one in found) - min(one["begun"] for one in found)
    each = count // number
    return {"rate": number * each / taken, "cpu": sum(one["cpu"] for one in found) / (number * each) * 1e6}


def _await_files(folder: Path, number: int, failed: Any) -> None:
    deadline = time.monotonic() + LIMIT
    while len([*folder.glob("ready-*")]) < number and not failed():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all of {number} drivers were ready within {LIMIT:g} seconds")
        time.sleep(0.01)


def drive(where: str, workers: int, seconds: float, count: int, folder: str) -> dict[str, float]:
    """Runs tasks as soon as the others are ready, too. The clock is the same for all processes of a machine."""
    with _manager(where, workers) as manager:
        (Path(folder) / f"ready-{os.getpid()}").touch()
        while not (Path(folder) / "go").exists():
            time.sleep(0.001)
        spent, begun = time.process_time(), time.monotonic()
        for future in [manager.submit(ways.task, seconds) for _ in range(count)]:
            future.result()
        return {"begun": begun, "ended": time.monotonic(), "cpu": time.process_time() - spent}


def crowd(where: str, workers: int, seconds: float, count: int) -> dict[str, float]:
    """Makes that many actors, and runs tasks on them. Returns what it took, and what it costs the driver."""
    begun, before = time.monotonic(), resident_bytes()
    threads = threading.active_count()
    with _manager(where, workers) as manager:
        made = time.monotonic() - begun
        begun, spent = time.monotonic(), time.process_time()
        for future in [manager.submit(ways.task, seconds) for _ in range(count)]:
            future.result()
        taken = time.monotonic() - begun
        return {
            "made": made,
            "rate": count / taken,
            "cpu": (time.process_time() - spent) / count * 1e6,
            "memory": (resident_bytes() - before) / 1e6,
            "threads": threading.active_count() - threads,
        }


def _manager(where: str, workers: int) -> TaskManager[object]:
    """Returns a manager over the cluster at that address, all of whose actors are there."""
    made = TaskManager(
        Config(
            on_create=object,
            worker_count=workers,
            max_worker_count=workers,
            resource_pool_size=0,
            backend=RayBackend(address=where, num_cpus=0),
        )
    )
    while made.stats().active_workers < workers:
        time.sleep(0.01)
    return made
