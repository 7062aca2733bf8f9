"""A cluster of several nodes on this machine, whose nodes can be lost; and what a manager is loaded with meanwhile.

For programs of their own: a process has one connection to a Ray, and the tests have theirs.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import ray
from ray._private import state
from ray.cluster_utils import Cluster

from support.waiting import wait_until
from tasker import Config, Context, RayBackend, TaskManager, WorkerLost

from . import work

LIMIT = 90.0
QUICK = {
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
    "health_check_initial_delay_ms": 500,
}
"""Health checks that notice a frozen node in seconds."""
SMALL = {"object_store_memory": 80 << 20, "include_dashboard": False}


class Nodes:
    """A head without processors, and nodes with one each."""

    def __init__(self, count: int, **system: Any) -> None:
        # What is started here inherits it.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": {**QUICK, **system}, **SMALL}
        )
        for _ in range(count):
            self.add()
        ray.init(address=self.cluster.address, logging_level=logging.CRITICAL, log_to_driver=False)

    def add(self) -> Any:
        """Start one more."""
        return self.cluster.add_node(num_cpus=1, **SMALL)

    def busy(self) -> Any:
        """One that an actor lives on."""
        used = {actor["Address"]["NodeID"] for actor in state.actors().values() if actor["State"] == "ALIVE"}
        return next(node for node in self.cluster.worker_nodes if node.node_id in used)

    def wait_for_end(self, node: Any) -> None:
        """Wait until the raylet of a node has ended by itself, and take its status, as whatever starts one does."""
        raylet = node.all_processes["raylet"][0].process
        wait_until(lambda: raylet.poll() is not None, LIMIT, "the raylet has ended")

    def end(self) -> None:
        """End the connection, and all nodes."""
        ray.shutdown()
        self.cluster.shutdown()


def processes(node: Any) -> list[Any]:
    """The processes of a node: the raylet, and what it has started, which comes first."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [*raylet.children(recursive=True), raylet]


@contextmanager
def frozen(node: Any) -> Iterator[None]:
    """Stop all processes of a node; they go on afterwards."""
    stopped = processes(node)
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            if process.is_running():
                process.resume()


def manager(**config: Any) -> TaskManager[Any]:
    """A manager over actors with one processor each."""
    options = {"worker_count": 2, "max_worker_count": 2, "resource_pool_size": 0, "on_create": work.Thing, **config}
    return TaskManager(Config(backend=RayBackend(), **options))


def waits(ctx: Context, thing: Any, folder: str, number: int) -> int:
    """Write down that it has started, and wait until it may end."""
    path = Path(folder)
    work.note(ctx, thing, str(path / "started"), str(number))
    while not (path / "open").exists():
        ctx.wait(0.02)
    return number


class Load:
    """Tasks that run, half of them once, and others that wait for a worker. Counts their outcomes."""

    def __init__(self, m: TaskManager[Any], folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.calls: Counter[int] = Counter()
        # The running ones go by priority, so both kinds begin at once.
        self.once = [m.submit(waits, str(folder), number, once=True) for number in (0, 1)]
        wait_until(lambda: len(self.started()) == 2, LIMIT, "both run")
        self.others = [m.submit(waits, str(folder), number) for number in range(2, 8)]
        for future in self.futures:
            future.add_done_callback(lambda future: self.calls.update([future.id]))

    @property
    def futures(self) -> list[Any]:
        return [*self.once, *self.others]

    def started(self) -> list[int]:
        """The numbers of the tasks that have begun, as often as they have."""
        path = self.folder / "started"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def lost(self) -> list[Any]:
        """Those that ended with their worker."""
        return [future for future in self.once if future.done() and isinstance(future.exception(0), WorkerLost)]

    def release(self) -> None:
        """Let all tasks end, now and later."""
        (self.folder / "open").touch()

    def check(self, lost: int) -> None:
        """Assert that each future resolved once, with its result unless its worker is lost, and no ``once`` task began twice."""
        errors = [future.exception(LIMIT) for future in self.once]
        assert len([error for error in errors if isinstance(error, WorkerLost)]) == lost, errors
        assert all(error is None or isinstance(error, WorkerLost) for error in errors), errors
        assert [future.result(LIMIT) for future in self.others] == [*range(2, 8)]
        wait_until(lambda: self.calls == Counter(future.id for future in self.futures), 10, "one callback each")
        begun = Counter(self.started())
        assert begun[0] == begun[1] == 1, begun


def since(begun: float) -> float:
    """Seconds, rounded."""
    return round(time.monotonic() - begun, 2)
