"""The agreement of simulation and reality: a real manager with threads that sleep, on a real clock, runs the same tasks
as the simulation."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.scaling.workloads import POOL
from tasker import Config, Context, TaskFuture, TaskManager
from tasker.simulation.comparison import simulate
from tasker.simulation.outcome import WaitTimes
from tasker.simulation.rules import OWN, PoolOptions
from tasker.simulation.workload import Tasks, Workload

CLOSE = 0.15
"""The largest relative error of the simulation that counts as agreement."""
_SHIFTS = 10


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures that are compared, in seconds."""

    mean: float
    p95: float
    worker_seconds: float

    @classmethod
    def of(cls, waits: WaitTimes, worker_seconds: float) -> Measures:
        """Computes the figures."""
        return cls(waits.mean, waits.percentile(0.95), worker_seconds)


@dataclass(frozen=True, slots=True)
class Pair:
    """A real run, and the simulation of the same tasks."""

    real: Measures
    simulated: Measures


@dataclass(frozen=True, slots=True)
class Agreement:
    """The pairs of one workload."""

    workload: Workload
    pairs: tuple[Pair, ...]

    def real(self, field: str) -> float:
        """Returns the real figure, as the mean of the rounds."""
        return statistics.fmean(getattr(pair.real, field) for pair in self.pairs)

    def simulated(self, field: str) -> float:
        """Returns the simulated figure, as the mean of the rounds."""
        return statistics.fmean(getattr(pair.simulated, field) for pair in self.pairs)

    def off(self, field: str) -> float:
        """Returns the relative error of the simulated figure."""
        real = self.real(field)
        return self.simulated(field) / real - 1 if real else 0.0

    def furthest(self, field: str) -> float:
        """Returns the relative error of the single round in which it is largest."""
        offs: list[float] = [getattr(pair.simulated, field) / getattr(pair.real, field) - 1 for pair in self.pairs]
        return max(offs, key=abs)

    def close(self, field: str) -> bool:
        """Returns whether the relative error is small enough."""
        return abs(self.off(field)) <= CLOSE


class _Resources:
    """Makes resources with a delay, and records for how long each existed."""

    def __init__(self, creation_time: float) -> None:
        self._creation_time = creation_time
        self._lock = threading.Lock()
        self.lives: list[tuple[float, float]] = []

    def create(self) -> float:
        begun = time.monotonic()
        time.sleep(self._creation_time)
        return begun

    def destroy(self, begun: float) -> None:
        with self._lock:
            self.lives.append((begun, time.monotonic()))

    def seconds_since(self, start: float) -> float:
        return sum(end - max(begun, start) for begun, end in self.lives)


def _sleep(ctx: Context, resource: float, seconds: float) -> None:
    time.sleep(seconds)


def run_for_real(tasks: Tasks, workload: Workload, pool: PoolOptions) -> Measures:
    """Runs the tasks on a real manager: submits each at its arrival."""
    resources = _Resources(workload.creation.time)
    config = Config(
        on_create=resources.create,
        on_destroy=resources.destroy,
        worker_count=pool.worker_count,
        max_worker_count=pool.max_worker_count,
        burst_interval=pool.burst_interval,
        target_wait=pool.target_wait,
        resource_pool_size=0,
    )
    futures: list[TaskFuture[None]] = []
    with TaskManager(config) as manager:
        while manager.stats().resources.alive < pool.worker_count:
            time.sleep(0.01)
        start = time.monotonic()
        for arrival, service in zip(tasks.arrivals, tasks.services, strict=True):
            _sleep_until(start + arrival)
            futures.append(manager.submit(_sleep, service))
        _sleep_until(start + workload.duration)
    waits = [stamps.started_at - stamps.queued_at for future in futures if (stamps := future.timestamps) is not None]
    return Measures.of(WaitTimes(waits), resources.seconds_since(start))


def _simulated(tasks: Tasks, workload: Workload, seed: int) -> Measures:
    """Simulates the tasks; returns the mean of ten runs whose ticks are shifted against the load, because it is unknown
    when the ticks of the real manager fall."""
    runs = []
    for number in range(_SHIFTS):
        warm_up = POOL.burst_interval * number / _SHIFTS
        outcome = simulate(OWN, workload, tasks, POOL, seed, warm_up)
        runs.append(Measures.of(outcome.wait_times(), outcome.worker_seconds))
    return Measures(
        statistics.fmean(run.mean for run in runs),
        statistics.fmean(run.p95 for run in runs),
        statistics.fmean(run.worker_seconds for run in runs),
    )


def _sleep_until(moment: float) -> None:
    left = moment - time.monotonic()
    if left > 0:
        time.sleep(left)


def compare(workloads: Sequence[Workload], rounds: int, progress: Callable[[str], None]) -> list[Agreement]:
    """Runs and simulates each workload, with other tasks in each round, so that rare ones weigh less."""
    agreements = []
    for workload in workloads:
        pairs = []
        for seed in range(rounds):
            progress(f"for real: {workload.name}, round {seed + 1} of {rounds}")
            tasks = workload.draw(seed)
            pairs.append(Pair(run_for_real(tasks, workload, POOL), _simulated(tasks, workload, seed)))
        agreements.append(Agreement(workload, tuple(pairs)))
    return agreements
