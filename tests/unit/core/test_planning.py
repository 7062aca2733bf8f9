"""What the supervisor knows of the configuration and of the load."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from tasker import Config, ProcessBackend, RetryPolicy
from tasker.control.events import Load
from tasker.control.scaling import RatePolicy
from tasker.control.supervisor import Plan
from tasker.core.counters import Flow
from tasker.core.planning import load_of, plan_of, wear_of


@dataclass
class Waiting:
    """A task in the queue."""

    _queued_at: float
    attempts: int = 0
    _snoozes: int = 0


def waited(*levels: list[Any], queued: int = 1) -> float:
    """For how long the first task has waited, at 10 s."""
    return load_of(Flow(accepted=9, queued=queued, running=0, done=0), levels, 10.0).oldest_wait


def test_run_task_is_not_the_workers_load() -> None:
    """Tasks of run_task neither arrive at the queue, nor run on a worker, nor end there."""
    flow = Flow(accepted=20, queued=3, running=7, done=10, inline_running=5, inline_done=4)
    assert load_of(flow, (), 0.0) == Load(queued=3, running=2, arrived=11, ended=6)


@pytest.mark.parametrize(
    ("levels", "seconds"),
    [
        (([], [], []), 0.0),
        (([], [Waiting(8.0), Waiting(9.0)], []), 2.0),
        (([Waiting(9.0)], [Waiting(8.0)], [Waiting(3.0)]), 7.0),
        (([Waiting(11.0)],), 0.0),
        (([Waiting(1.0, attempts=1)], [Waiting(8.0)]), 2.0),
        (([Waiting(1.0, attempts=1)],), 0.0),
        (([Waiting(1.0, _snoozes=1)],), 0.0),
    ],
)
def test_the_oldest_wait(levels: Any, seconds: float) -> None:
    """The longest of the heads of the levels; a retry has waited since its failure, which is not known."""
    assert waited(*levels) == seconds


@dataclass
class Running:
    """A task that a worker runs."""

    _started_at: float


@pytest.mark.parametrize(
    ("tasks", "age"),
    [
        ((), 0.0),
        ((None, None), 0.0),
        ((object(),), 0.0),
        ((Running(7.0),), 3.0),
        ((Running(1.0), Running(8.0)), 2.0),
        ((Running(1.0), None, Running(8.0), Running(5.0)), 5.0),
        ((Running(11.0),), 0.0),
    ],
)
def test_the_age_of_running_tasks(tasks: Any, age: float) -> None:
    """The lower median of what runs, and 0 if nothing waits or nothing has started."""
    assert load_of(Flow(accepted=9, queued=1, running=2, done=0), (), 10.0, tasks).running_age == age
    assert load_of(Flow(accepted=9, queued=0, running=2, done=0), (), 10.0, tasks).running_age == 0.0


def test_nothing_waits() -> None:
    """A task that has ended and still lies in the queue does not wait."""
    assert waited([Waiting(1.0)], queued=0) == 0.0


def plan(**fields: Any) -> Plan:
    """What the supervisor knows of a configuration."""
    return plan_of(Config(**{"on_create": object, **fields}))


def test_the_plan_has_what_decisions_depend_on() -> None:
    """Bounds, retries, creation and scaling are taken over as they are configured."""
    policy = RatePolicy()
    fields = {"max_retries": 7, "ready_timeout": 9.0, "creation_backoff": 0.3, "target_wait": 0.4}
    fields |= {"retry": RetryPolicy(backoff=1.0), "quarantine_after": 2}
    fields |= {"create_timeout": 3.0, "destroy_timeout": 2.0, "max_stuck_workers": 1}
    expected = Plan(worker_count=2, max_worker_count=5, policy=policy, has_pool=True, **fields)
    assert plan(worker_count=2, max_worker_count=5, scaling=policy, **fields) == expected


def test_a_plan_without_a_pool() -> None:
    """Where run_task has no pool, there is none to close."""
    assert plan(worker_count=2, resource_pool_size=0).has_pool is False


def test_the_plan_fills_in_defaults() -> None:
    """Without a maximum there are twice the base workers, without a policy there is the library's."""
    assert plan(worker_count=2).max_worker_count == 4
    assert plan(worker_count=2).max_stuck_workers == 4
    assert isinstance(plan(worker_count=2).policy, RatePolicy)


@pytest.mark.parametrize(("burst_interval", "scales"), [(0.0, False), (0.1, True)])
def test_no_interval_means_no_scaling(burst_interval: float, scales: bool) -> None:
    """burst_interval=0 switches scaling off."""
    assert plan(worker_count=1, burst_interval=burst_interval).scales is scales


def test_only_a_backend_can_interrupt_tasks() -> None:
    """A task in another process is ended by force, one in a thread is not."""
    assert plan(worker_count=1).interrupts is False
    assert plan(worker_count=1, backend=ProcessBackend()).interrupts is True


def test_the_values_of_workers_are_their_slots() -> None:
    """There are as many workers as values, at most; stuck ones keep theirs."""
    options = {"on_create": lambda worker: worker, "worker_count": 1, "max_worker_count": 2}
    assert (plan(**options).slots, plan(**options).max_stuck_workers) == (None, 2)
    few = plan(**options, per_worker=["a", "b", "c"])
    assert (few.slots, few.max_stuck_workers) == (3, 1)


def test_the_limits_of_a_resource() -> None:
    """There are none by default; one of them is enough."""
    options = {"on_create": object, "worker_count": 1}
    assert wear_of(Config(**options)) is None
    wear = wear_of(Config(**options, max_tasks_per_resource=1))
    assert wear is not None
    assert wear.remaining(5) == 1
    aged = wear_of(Config(**options, max_resource_lifetime=100.0))
    assert aged is not None
    now = time.monotonic()
    assert not aged.worn(now + 80)
    assert aged.worn(now + 100)
