"""A storm of submitters, failures and cancels: every future resolves exactly once."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from typing import Any

import pytest

from support.resources import Resource, ScriptedResources
from support.threaded import ThreadedEngine
from support.waiting import Call, wait_until
from tasker import Priority, TaskStats

pytestmark = pytest.mark.stress
FUTURES = int(os.environ.get("TASKER_STRESS", "100000"))
SUBMITTERS = 64
PATIENCE = 120 + FUTURES / 200


class Sick(Exception):
    """The error that makes a resource unhealthy."""


class FlakyResources(ScriptedResources):
    """Every tenth creation fails."""

    def _begin(self) -> Any:
        super()._begin()
        return OSError("flaky") if random.random() < 0.1 else None


class Storm:
    """The tasks of the storm, and what they saw."""

    def __init__(self) -> None:
        self.once_starts: list[int] = []
        self.faults: list[str] = []
        self.futures: list[Any] = []

    def task(self, ctx: Any, resource: Resource, number: int, once: bool) -> int:
        """Use the resource alone; fail unhealthily 5 times in 100."""
        try:
            with resource.use():
                if once:
                    self.once_starts.append(number)
                if random.random() < 0.05:
                    resource.bad = True
        except AssertionError as fault:
            self.faults.append(str(fault))
        if resource.bad:
            raise Sick(number)
        return number

    def feed(self, m: Any, submitter: int, count: int) -> None:
        """Submit `count` tasks of all kinds and cancel some of all that were submitted."""
        rng = random.Random(submitter)
        for number in range(submitter * count, (submitter + 1) * count):
            once = rng.random() < 0.3
            calls: list[Any] = []
            future = m.submit(self.task, number, once, priority=rng.choice(list(Priority)), once=once)
            future.add_done_callback(calls.append)
            self.futures.append((number, once, future, calls))
            if rng.random() < 0.1:
                future.cancel()
            if rng.random() < 0.02:
                self.futures[rng.randrange(len(self.futures))][2].cancel()

    def check(self) -> None:
        """Every future resolved, called back once, with an outcome that makes sense."""
        assert self.faults == []
        wait_until(lambda: all(len(calls) == 1 for *_, calls in self.futures), 30)
        for number, once, future, _ in self.futures:
            assert future.done()
            if future.cancelled():
                continue
            error = future.exception(0)
            if error is None:
                assert future.result(0) == number
            elif once:
                assert isinstance(error, Sick)
                assert future.attempts == 1
        repeated = [n for n, times in Counter(self.once_starts).items() if times > 1]
        assert repeated == [], "once tasks started twice"


def impossible(stats: TaskStats) -> bool:
    """Whether a snapshot contradicts itself."""
    known = stats.queued_tasks + stats.priority_tasks + stats.running_tasks + stats.done_tasks
    ledger = stats.resources
    return (
        known != stats.accepted_tasks
        or ledger.created != ledger.destroyed + ledger.alive + ledger.lost
        or min(stats.queued_tasks, stats.priority_tasks, stats.running_tasks) < 0
    )


@pytest.mark.timeout(int(PATIENCE * 3))
@pytest.mark.parametrize("bound", [None, 100], ids=["unbounded", "bounded"])
def test_stress_every_future_resolves_once(bound: int | None) -> None:
    """64 submitters, sick tasks, failing creations, cancels: one outcome each, exact counts."""
    engine, storm = ThreadedEngine(), Storm()
    resources = FlakyResources()
    lies: list[TaskStats] = []
    ended = threading.Event()
    m = engine.build(
        resources=resources,
        worker_count=4,
        max_worker_count=8,
        burst_interval=0.02,
        max_queue_size=bound,
        max_retries=5,
        check_health=lambda error: not isinstance(error, Sick),
    )

    def watch() -> None:
        while not ended.wait(0.001):
            stats = m.stats()
            if impossible(stats):
                lies.append(stats)

    watcher = Call(watch)
    feeders = [Call(storm.feed, m, submitter, FUTURES // SUBMITTERS) for submitter in range(SUBMITTERS)]
    for feeder in feeders:
        feeder.outcome(PATIENCE)
    assert not Call(m.stop).outcome(PATIENCE).killed
    ended.set()
    watcher.outcome()
    assert lies == []
    assert len(storm.futures) == FUTURES // SUBMITTERS * SUBMITTERS
    storm.check()
    stats = m.stats()
    assert stats.done_tasks == stats.accepted_tasks == len(storm.futures)
    ledger = stats.resources
    assert ledger.created == ledger.destroyed == len(resources.created)
    engine.audit()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", ["kill", "stop(timeout)"])
def test_stress_an_abrupt_end_resolves_everything(end: str) -> None:
    """The same storm, ended in its middle: each accepted task has one outcome."""
    from tasker import ShutdownError

    engine, storm = ThreadedEngine(), Storm()
    m = engine.build(
        resources=FlakyResources(),
        worker_count=4,
        max_worker_count=8,
        burst_interval=0.02,
        check_health=lambda error: not isinstance(error, Sick),
    )

    def feed(submitter: int) -> None:
        try:
            storm.feed(m, submitter, FUTURES // SUBMITTERS)
        except ShutdownError:
            pass

    feeders = [Call(feed, submitter) for submitter in range(SUBMITTERS)]
    wait_until(lambda: len(storm.futures) > FUTURES // 10, 60)
    call = Call(m.kill, 20) if end == "kill" else Call(m.stop, 0.05)
    for feeder in feeders:
        feeder.outcome(60)
    call.outcome(60)
    lost = [future for _, _, future, _ in storm.futures if not future.done()]
    wait_until(lambda: all(future.done() for future in lost), 20, f"all are done: {lost}")
    storm.check()
    engine.audit()
