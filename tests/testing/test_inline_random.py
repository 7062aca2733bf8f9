"""Random programs on an InlineTaskManager: whatever happens, the books are right and every task has one outcome."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from tasker import (
    Config,
    Context,
    DeadlockError,
    MaxRetriesExceeded,
    Priority,
    ResourceError,
    ShutdownError,
    TaskCancelled,
    TaskerError,
    TaskKilled,
)
from tasker.testing import FaultPlan, InlineTaskManager, ManualClock, ScriptedResource, ScriptedResources, raises, takes


class Broken(Exception):
    """Of the resource."""


class Program:
    """Does one random thing after the other, and looks at the books each time."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.clock = ManualClock(0)
        self.resources = ScriptedResources(self._plan(), clock=self.clock)
        self.futures: list[Any] = []
        self.callbacks: Counter[int] = Counter()
        self.starts: Counter[int] = Counter()
        config = Config(
            on_create=self.resources.create,
            on_destroy=self.resources.destroy,
            check_health=lambda error: not isinstance(error, Broken),
            on_return=rng.choice([None, self._returned]),
            worker_count=rng.randint(1, 3),
            max_worker_count=rng.randint(3, 4),
            max_retries=rng.randint(0, 3),
            resource_pool_size=rng.randint(0, 2),
            max_queue_size=rng.choice([None, 1, 5]),
            max_tasks_per_resource=rng.choice([None, 1, 3]),
            max_resource_lifetime=rng.choice([None, 20.0]),
            ready_timeout=rng.choice([None, 5.0]),
            burst_interval=rng.choice([0.0, 0.1]),
        )
        order = rng.choice([None, rng.choice])
        while True:
            try:
                self.manager = InlineTaskManager(config, clock=self.clock, order=order)
                break
            except ResourceError:
                continue

    def _plan(self) -> FaultPlan:
        plan = FaultPlan()
        for number in range(1, 200):
            if self.rng.random() < 0.2:
                plan = plan.create(number, takes(self.rng.random()), raises(OSError("down")))
            if self.rng.random() < 0.1:
                plan = plan.destroy(number, raises(OSError("gone")))
        return plan

    def _returned(self, resource: ScriptedResource) -> None:
        if self.rng.random() < 0.1:
            raise OSError("cannot be reset")

    def task(self, ctx: Context, resource: ScriptedResource, index: int, depth: int) -> int:
        self.starts[index] += 1
        with resource.use():
            self.check_books()
            ctx.wait(self.rng.random())
            what = self.rng.randrange(8)
            if what == 0:
                raise ValueError("of the task")
            if what == 1:
                raise Broken("of the resource")
            if what == 2 and depth:
                return int(self.manager.submit(self.task, -1, depth - 1).result())
            if what == 3:
                self.submit(depth - 1)
            if what == 4 and self.futures:
                self.rng.choice(self.futures).cancel()
                ctx.raise_if_cancelled()
            if what == 5 and depth:
                self.manager.run_task(self.task, -2, 0)
            return index

    def submit(self, depth: int = 2) -> None:
        index = len(self.futures)
        try:
            future = self.manager.submit(
                self.task,
                index,
                depth,
                priority=self.rng.choice(list(Priority)),
                once=self.rng.random() < 0.2,
                callback=lambda result, error: self.callbacks.update([index]),
                block=self.rng.random() < 0.5,
            )
        except (TaskerError, RecursionError):
            # Its index may have been taken meanwhile, by a task that this submit has run to make room.
            return
        self.futures.append(future)
        future.number = index

    def step(self) -> None:
        manager, rng = self.manager, self.rng
        what = rng.randrange(10)
        if what < 4:
            self.submit()
        elif what < 6:
            pending = manager.pending
            if pending and rng.random() < 0.5:
                manager.run_next(rng.randrange(len(pending)))
            else:
                manager.run_next()
        elif what == 6 and self.futures:
            rng.choice(self.futures).cancel()
        elif what == 7 and self.futures:
            rng.choice(self.futures).exception(timeout=rng.random()) if rng.random() < 0.5 else manager.run_all()
        elif what == 8:
            manager.resize(worker_count=rng.randint(1, 3), max_worker_count=rng.randint(3, 4))
        else:
            self.clock.advance(rng.random() * 5)
            manager.run_task(self.task, -2, 1)

    def check_books(self) -> None:
        stats = self.manager.stats()
        queued = stats.queued_tasks + stats.priority_tasks
        assert min(queued, stats.running_tasks, stats.done_tasks) >= 0
        assert queued + stats.running_tasks + stats.done_tasks == stats.accepted_tasks
        ledger = stats.resources
        assert ledger.created == ledger.destroyed + ledger.alive
        # A resource of a worker, of the pool, or of a call of ``run_task``: one for each task that runs now.
        assert stats.active_workers <= 4

    def play(self) -> None:
        for _ in range(60):
            try:
                self.step()
            except (TaskerError, ValueError, Broken, TimeoutError):
                pass
            self.check_books()
        end = self.rng.choice([self.manager.stop, self.manager.kill, lambda: self.manager.stop(3.0)])
        report = end()
        assert self.manager.closed
        with pytest.raises(ShutdownError):
            self.manager.submit(self.task, 0, 0)
        assert all(future.done() for future in self.futures), report
        assert self.manager.pending == ()
        stats = self.manager.stats()
        assert stats.done_tasks == stats.accepted_tasks
        assert (stats.running_tasks, stats.active_workers, stats.resources.alive, report.abandoned) == (0, 0, 0, ())
        self.resources.check()
        metrics = self.manager.metrics()
        ended = metrics.total_tasks_completed + metrics.total_tasks_failed + metrics.total_tasks_cancelled
        assert ended == stats.done_tasks


@pytest.mark.parametrize("seed", range(60))
def test_the_books_are_right(seed: int) -> None:
    """At every step, and at the end nothing is left."""
    Program(seed).play()


@pytest.mark.parametrize("seed", range(5))
def test_a_program_does_the_same_each_time(seed: int) -> None:
    """Nothing depends on threads, hashes or the time of the machine."""

    def trace() -> tuple[Any, ...]:
        program = Program(seed)
        program.play()
        outcomes = [(future.attempts, future.worker, str(future.cancelled())) for future in program.futures]
        return outcomes, program.clock.now(), program.resources.created, program.manager.stats()

    assert trace() == trace()


def test_what_the_programs_reach() -> None:
    """All that can become of a task happens in them."""
    reached = set()
    for seed in range(60):
        program = Program(seed)
        program.play()
        for future in program.futures:
            try:
                reached.add(type(future.exception()))
            except TaskCancelled as error:
                reached.add(type(error))
    expected = {
        type(None),
        ValueError,
        Broken,
        TaskCancelled,
        TaskKilled,
        ResourceError,
        MaxRetriesExceeded,
        DeadlockError,
    }
    assert expected <= reached
