"""In an InlineTaskManager resources are checked, given up and given back by the time of the clock."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import Config, Context, MaxRetriesExceeded
from tasker.testing import FaultPlan, InlineTaskManager, ManualClock, ScriptedResource, ScriptedResources, raises, takes


def config_of(resources: ScriptedResources[Any], **options: Any) -> Config[Any]:
    defaults = {"worker_count": 1, "resource_pool_size": 0}
    return Config(on_create=resources.create, on_destroy=resources.destroy, **{**defaults, **options})


def number_of(ctx: Context, resource: ScriptedResource) -> int:
    with resource.use():
        return resource.number


def test_an_idle_resource_is_checked() -> None:
    """By the time of the clock; the task that waits is run by the next worker, in its first attempt."""
    resources, clock = ScriptedResources(), ManualClock()
    checked: list[int] = []

    def check(resource: ScriptedResource) -> bool:
        checked.append(resource.number)
        return resource.number != 1

    config = config_of(resources, check_resource=check, check_after_idle=10)
    with InlineTaskManager(config, clock=clock) as manager:
        assert [manager.queue_task(number_of) for _ in range(2)] == [1, 1]
        assert checked == []
        clock.advance(11)
        future = manager.submit(number_of, once=True)
        assert (future.result(), future.attempts) == (2, 1)
        assert checked == [1]
        assert (manager.stats().failed_checks, manager.stats().replaced_workers) == (1, 1)
        clock.advance(11)
        assert manager.queue_task(number_of) == 2
        assert checked == [1, 2]
    resources.check()


def test_run_task_of_an_inline_manager_checks_its_resources() -> None:
    """By the time of the clock."""
    resources, clock = ScriptedResources(), ManualClock()
    config = config_of(resources, resource_pool_size=1, check_resource=lambda resource: resource.number != 1)
    with InlineTaskManager(config, clock=clock) as manager:
        assert manager.run_task(number_of) == 1
        clock.advance(2)
        assert manager.run_task(number_of) == 2
        assert manager.stats().failed_checks == 1
    resources.check()


def test_resources_are_checked_at_an_interval() -> None:
    """Each when it was idle for so long, once for each look at the clock."""
    checked: list[int] = []
    resources, clock = ScriptedResources(), ManualClock()
    check = lambda resource: checked.append(resource.number)  # noqa: E731
    options = {"check_resource": check, "check_interval": 60, "check_after_idle": 1000}
    with InlineTaskManager(config_of(resources, **options), clock=clock) as manager:
        manager.stats()
        assert checked == []  # it has none yet
        manager.queue_task(number_of)
        clock.advance(59.5)
        manager.stats()
        assert checked == []
        clock.advance(0.5)
        manager.stats()
        assert checked == [1]
        manager.stats()
        assert checked == [1]
        clock.advance(1000)  # longer than check_after_idle, too
        manager.queue_task(number_of)
        assert checked == [1, 1]
    resources.check()


def test_a_resource_that_has_died_in_the_night() -> None:
    """It is replaced before a task comes, which is run in its first attempt."""
    resources, clock = ScriptedResources(), ManualClock()
    options = {"check_resource": lambda resource: resource.number != 1, "check_interval": 60, "check_after_idle": 1000}
    with InlineTaskManager(config_of(resources, **options), clock=clock) as manager:
        assert manager.queue_task(number_of) == 1
        clock.advance(60)
        stats = manager.stats()
        assert (stats.failed_checks, stats.replaced_workers, stats.resources.alive) == (1, 1, 0)
        future = manager.submit(number_of, once=True)
        assert (future.result(), future.attempts) == (2, 1)
    resources.check()


def test_the_pool_of_run_task_is_checked_at_an_interval() -> None:
    """A bad one is replaced at once; the others stay."""
    resources, clock = ScriptedResources(), ManualClock()
    options = {"check_resource": lambda resource: resource.number != 1, "check_interval": 60, "check_after_idle": 1000}
    with InlineTaskManager(config_of(resources, resource_pool_size=2, **options), clock=clock) as manager:
        clock.advance(60)
        stats = manager.stats()
        assert (stats.failed_checks, stats.available_resources) == (1, 2)
        assert [record.number for record in resources.alive] == [2, 3]
    resources.check()


def test_a_wait_that_never_ends_is_refused_although_checks_are_due_for_ever() -> None:
    """They pass no time."""
    resources, clock = ScriptedResources(), ManualClock()
    options = {"check_resource": lambda resource: True, "check_interval": 60, "resource_pool_size": 1}
    with InlineTaskManager(config_of(resources, max_worker_count=1, **options), clock=clock) as manager:

        def nested(ctx: Context, resource: ScriptedResource) -> None:
            manager.queue_task(number_of)

        begun = clock.now()
        error = manager.submit(nested).exception()
        assert "each of the 1 workers waits for another task" in str(error)
        assert clock.now() == begun
    resources.check()


@pytest.mark.parametrize(("seconds", "fits"), [(5, True), (5.5, False)])
def test_a_check_that_takes_too_long(seconds: float, fits: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The resource is replaced, as where the check hangs."""
    resources, clock = ScriptedResources(), ManualClock()
    options = {"check_resource": lambda resource: clock.advance(seconds), "check_timeout": 5, "check_after_idle": 1}
    with InlineTaskManager(config_of(resources, **options), clock=clock) as manager:
        manager.queue_task(number_of)
        clock.advance(2)
        assert manager.queue_task(number_of) == (1 if fits else 2)
        assert manager.stats().failed_checks == (not fits)
    resources.check()
    assert ("check_resource has not returned within check_timeout=5 seconds" in caplog.text) is not fits


@pytest.mark.parametrize(("seconds", "serves"), [(5, 1), (5.5, 2)])
def test_a_reset_that_takes_too_long(seconds: float, serves: int, caplog: pytest.LogCaptureFixture) -> None:
    """The outcome of the task stands, and the resource is replaced."""
    resources, clock = ScriptedResources(), ManualClock()
    options = {"on_return": lambda resource: clock.advance(seconds), "return_timeout": 5}
    with InlineTaskManager(config_of(resources, **options), clock=clock) as manager:
        assert [manager.queue_task(number_of), manager.queue_task(number_of)] == [1, serves]
    resources.check()
    assert ("on_return has not returned within return_timeout=5 seconds" in caplog.text) is (serves == 2)


def test_checks_that_take_longer_than_the_interval() -> None:
    """Each worker is checked once at a time, so that this ends."""
    checked: list[int] = []
    resources, clock = ScriptedResources(), ManualClock()

    def slow(resource: ScriptedResource) -> None:
        checked.append(resource.number)
        clock.advance(60)

    def nested(ctx: Context, resource: ScriptedResource) -> int:
        return manager.queue_task(number_of)

    options = {"check_resource": slow, "check_interval": 60, "check_timeout": None, "check_after_idle": 1000}
    with InlineTaskManager(config_of(resources, worker_count=2, **options), clock=clock) as manager:
        assert manager.queue_task(nested) == 2
        clock.advance(60)
        manager.stats()
        assert sorted(checked) == [1, 2]
    resources.check()


@pytest.mark.parametrize(("seconds", "serves"), [(10, 1), (10.5, 2)])
def test_a_creation_that_takes_too_long(seconds: float, serves: int, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as failed, and what has come too late is destroyed and serves no task."""
    clock = ManualClock()
    resources = ScriptedResources(FaultPlan().create(1, takes(seconds)), clock=clock)
    with InlineTaskManager(config_of(resources, create_timeout=10), clock=clock) as manager:
        assert manager.queue_task(number_of) == serves
        stats = manager.stats()
        assert stats.failed_creations == stats.resources.destroyed == serves - 1
    resources.check()
    assert ("on_create has not returned within create_timeout=10 seconds" in caplog.text) is (serves == 2)


def test_an_idle_resource_is_given_back() -> None:
    """With worker_count=0 the last one, when it was idle for idle_timeout; the next task has another one made."""
    resources, clock = ScriptedResources(), ManualClock()
    with InlineTaskManager(config_of(resources, worker_count=0, idle_timeout=30), clock=clock) as manager:
        assert manager.queue_task(number_of) == 1
        clock.advance(29)
        assert manager.stats().resources.alive == 1
        assert manager.queue_task(number_of) == 1
        clock.advance(29)
        assert manager.stats().resources.alive == 1
        clock.advance(1)
        stats = manager.stats()
        assert (stats.resources.alive, stats.active_workers, stats.starting_workers) == (0, 0, 0)
        assert "no worker is kept while there is nothing to do" in str(manager.explain())
        assert manager.queue_task(number_of) == 2
    resources.check()


def test_an_idle_burst_worker_ends() -> None:
    """The base stays."""
    resources, clock = ScriptedResources(), ManualClock()

    def nested(ctx: Context, resource: ScriptedResource) -> int:
        return manager.queue_task(number_of)

    config = config_of(resources, max_worker_count=2, idle_timeout=30)
    with InlineTaskManager(config, clock=clock) as manager:
        assert manager.queue_task(nested) == 2
        clock.advance(20)
        manager.queue_task(number_of)
        clock.advance(10)
        assert manager.stats().resources.alive == 1
        clock.advance(100)
        assert manager.stats().resources.alive == 1
        assert "more than 1 were not used for 30.0 s, the idle_timeout" in str(manager.explain())
    resources.check()


def test_nothing_is_given_back_while_a_task_waits() -> None:
    """A paused manager keeps its resources, and one with queued tasks what they need."""
    resources, clock = ScriptedResources(), ManualClock()
    with InlineTaskManager(config_of(resources, worker_count=0, idle_timeout=30), clock=clock) as manager:
        manager.queue_task(number_of)
        future = manager.submit(number_of)
        clock.advance(100)
        assert manager.stats().resources.alive == 1
        assert future.result() == 1
        manager.pause()
        clock.advance(100)
        assert manager.stats().resources.alive == 1
        manager.resume()
        assert manager.stats().resources.alive == 0
    resources.check()


def test_an_alarm_is_over() -> None:
    """When the clock has passed its time, as seen by stats()."""
    clock = ManualClock()
    resources = ScriptedResources(FaultPlan().create(range(1, 3), raises(OSError("down"))))
    config = config_of(resources, restart_intensity=(1, 60), max_retries=0, check_health=lambda error: False)
    with InlineTaskManager(config, clock=clock) as manager:
        with pytest.raises(MaxRetriesExceeded):
            manager.queue_task(lambda ctx, resource: 1 / 0)
        assert manager.stats().restart_alarm
        clock.advance(60)
        assert not manager.stats().restart_alarm
        assert "again and again" not in str(manager.explain())
    resources.check()
