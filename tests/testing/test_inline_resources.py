"""In an InlineTaskManager resources are really made, replaced and destroyed, and failures take virtual time."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tasker import (
    Config,
    Context,
    DeadlockError,
    Health,
    MaxRetriesExceeded,
    PoisonTask,
    Quarantined,
    ResourceError,
    RetryBudget,
    RetryPolicy,
    Snooze,
    WorkerInfo,
)
from tasker.testing import (
    FaultPlan,
    InlineTaskManager,
    ManualClock,
    ScriptedResource,
    ScriptedResources,
    hangs,
    raises,
    takes,
)


class Broken(Exception):
    """Of the resource."""


def config_of(resources: ScriptedResources[Any], **options: Any) -> Config[Any]:
    defaults = {"worker_count": 1, "resource_pool_size": 0, "check_health": lambda error: not isinstance(error, Broken)}
    return Config(on_create=resources.create, on_destroy=resources.destroy, **{**defaults, **options})


def number_of(ctx: Context, resource: ScriptedResource) -> int:
    with resource.use():
        return resource.number


def breaks(ctx: Context, resource: ScriptedResource) -> None:
    raise Broken(resource.number)


def test_a_worker_makes_its_resource_with_its_first_task() -> None:
    """So the n-th creation is known; the pool of ``run_task`` is made at the start."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources, worker_count=4)) as manager:
        assert (resources.created, manager.stats().starting_workers) == (0, 4)
        assert [manager.queue_task(number_of) for _ in range(3)] == [1, 1, 1]
        assert (resources.created, manager.stats().active_workers) == (1, 1)
    resources.check()
    pooled = ScriptedResources()
    with InlineTaskManager(config_of(pooled, resource_pool_size=2)) as manager:
        assert pooled.created == manager.stats().available_resources == 2
    pooled.check()


def test_the_worker_of_a_broken_resource_is_replaced() -> None:
    """Each attempt gets another resource; the former one is destroyed before."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources, max_retries=2)) as manager:
        future = manager.submit(breaks)
        manager.run_next()
        assert (future.done(), future.attempts, manager.pending) == (False, 1, (future,))
        assert (resources.created, resources.destroyed, manager.stats().priority_tasks) == (1, 1, 1)
        with pytest.raises(MaxRetriesExceeded):
            future.result()
        assert (resources.created, resources.destroyed, future.attempts) == (3, 3, 3)
        assert manager.stats().replaced_workers == 3
    resources.check()


def test_a_retry_goes_before_other_tasks() -> None:
    """At high priority, as in a ``TaskManager``; the test can have another one first."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources)) as manager:
        future, other = manager.submit(breaks), manager.submit(number_of)
        manager.run_next()
        assert manager.pending == (future, other)
        assert manager.run_next(other) is other
        future.cancel()
        assert manager.pending == ()


def test_pauses_between_failed_creations_pass_on_the_clock() -> None:
    """They grow, and are the same each time."""
    pauses = []
    for _ in range(2):
        clock = ManualClock(0)
        resources = ScriptedResources(FaultPlan().create(range(1, 6), raises(OSError("down"))))
        with InlineTaskManager(config_of(resources, creation_backoff=1.0), clock=clock) as manager:
            assert manager.queue_task(number_of) == 1
        resources.check_plan()
        pauses.append(clock.now())
    assert pauses[0] == pauses[1]
    assert 0 < pauses[0] <= 31


def test_ready_timeout_is_of_the_clock() -> None:
    """A task that has waited that long without a worker fails, whoever moves the clock."""
    resources = ScriptedResources(FaultPlan().every_create(raises(OSError("down"))))
    clock = ManualClock(0)
    with InlineTaskManager(config_of(resources, ready_timeout=60), clock=clock) as manager:
        future = manager.submit(number_of)
        with pytest.raises(ResourceError) as caught:
            future.result()
        assert isinstance(caught.value.__cause__, OSError)
        assert 60 <= clock.now() < 100
        second = manager.submit(number_of)
        clock.advance(60)
        assert manager.pending == ()
        assert isinstance(second.exception(), ResourceError)


def test_creations_that_always_fail_are_told_to_the_test() -> None:
    """In place of trying for ever. The task still waits, and a stop gives up on it."""
    resources = ScriptedResources(FaultPlan().every_create(raises(OSError("down"))))
    manager = InlineTaskManager(config_of(resources))
    future = manager.submit(number_of)
    with pytest.raises(ResourceError, match="on_create has failed 100 times in a row, last with OSError: down"):
        future.result()
    assert not future.done()
    manager.stop()
    assert isinstance(future.exception(), ResourceError)


def test_a_hang_is_told_to_the_test() -> None:
    """Nothing could release it. Released before, it is no hang."""
    hang = hangs()
    resources = ScriptedResources(FaultPlan().create(1, hang).create(2, hang))
    with InlineTaskManager(config_of(resources)) as manager:
        future = manager.submit(number_of)
        with pytest.raises(DeadlockError, match="hangs in the thread of an InlineTaskManager"):
            manager.run_next()
        resources.release()
        assert future.result() == 1
    resources.check()


def test_a_hang_of_a_destruction_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """As what an ``on_destroy`` raises; the resource counts as destroyed."""
    resources = ScriptedResources(FaultPlan().destroy(1, hangs()))
    with caplog.at_level(logging.ERROR, "tasker"), InlineTaskManager(config_of(resources)) as manager:
        manager.queue_task(number_of)
    assert "hangs in the thread of an InlineTaskManager" in caplog.text
    assert manager.stats().user_errors == 1


def test_lifetimes_are_of_the_clock() -> None:
    """A resource that is old is replaced before the next task, in a worker and in the pool of ``run_task``."""
    clock = ManualClock(0)
    resources = ScriptedResources()
    config = config_of(resources, max_resource_lifetime=60, resource_pool_size=1)
    with InlineTaskManager(config, clock=clock) as manager:
        first = manager.queue_task(number_of), manager.run_task(number_of)
        clock.advance(59)
        assert (manager.queue_task(number_of), manager.run_task(number_of)) == first
        clock.advance(2)
        assert (manager.queue_task(number_of), manager.run_task(number_of)) != first
        assert manager.stats().renewed_workers == 1
        assert len(resources.alive) == 2
    resources.check()


def test_a_context_manager_as_the_resource() -> None:
    """``Config(resource=...)`` works as well."""
    seen: list[str] = []

    class Session:
        def __enter__(self) -> str:
            seen.append("entered")
            return "session"

        def __exit__(self, *error: object) -> None:
            seen.append("left")

    with InlineTaskManager(Config(resource=Session, worker_count=1, resource_pool_size=0)) as manager:
        assert manager.queue_task(lambda ctx, resource: resource) == "session"
    assert seen == ["entered", "left"]


def test_a_worker_that_shrinks_away_destroys_its_resource() -> None:
    """``resize`` ends idle workers at once, and the one in use after its task."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources, worker_count=3, max_worker_count=3)) as manager:

        def nested(ctx: Context, resource: ScriptedResource, depth: int) -> int:
            if depth:
                return manager.queue_task(nested, depth - 1)
            manager.resize(worker_count=1, max_worker_count=1)
            return len(resources.alive)

        assert manager.queue_task(nested, 2) == 3
        assert len(resources.alive) == 1
        assert manager.queue_task(number_of) in (1, 2, 3)
    resources.check()


def test_tasks_that_do_not_wait_for_a_server_that_is_down() -> None:
    """With when_unavailable="fail" they fail without the clock, also those submitted later; once it has gone on, a worker has
    found out that the server is back, although no task has asked for it."""
    resources = ScriptedResources(FaultPlan().create(range(1, 3), raises(OSError("down"))))
    clock = ManualClock(0)
    with InlineTaskManager(config_of(resources, when_unavailable="fail"), clock=clock) as manager:
        first = manager.submit(number_of)
        assert isinstance(first.exception(), ResourceError)
        assert isinstance(manager.submit(number_of).exception(), ResourceError)
        assert (clock.now(), manager.stats().breaker) == (0, "open")
        clock.advance(60)
        assert manager.pending == ()
        clock.advance(60)
        assert manager.pending == ()
        assert manager.stats().breaker == "closed"
        assert manager.queue_task(number_of) == 1
    resources.check()


def test_the_pool_of_run_task_is_refilled() -> None:
    """After an unhealthy error, again and again if that fails, in virtual time."""
    resources = ScriptedResources(FaultPlan().create(2, raises(OSError("down"))))
    clock = ManualClock(0)
    with InlineTaskManager(config_of(resources, resource_pool_size=1), clock=clock) as manager:
        with pytest.raises(Broken):
            manager.run_task(breaks)
        assert manager.stats().available_resources == 0
        clock.advance(1)
        assert manager.pending == ()
        assert manager.stats().available_resources == 1
    resources.check()


def test_a_callback_that_waits_while_no_worker_can_be_made() -> None:
    """It runs in the middle of the manager's own step, which nothing can overtake: the wait is refused."""
    clock = ManualClock(0)
    plan = FaultPlan().create(range(1, 50), takes(6), raises(OSError("down")))
    resources = ScriptedResources(plan, clock=clock)
    seen: list[object] = []
    with InlineTaskManager(config_of(resources, worker_count=3, ready_timeout=5), clock=clock) as manager:

        def waits(result: object, error: BaseException | None) -> None:
            try:
                manager.queue_task(number_of)
            except DeadlockError as refused:
                seen.append((type(error), str(refused)))

        manager.submit(number_of, callback=waits)
        manager.run_all()
    ((kind, text),) = seen  # type: ignore[misc]
    assert kind is ResourceError
    assert "no worker can be made before" in text
    assert resources.attempts < 20


def test_pauses_between_attempts_pass_on_the_clock() -> None:
    """A task that fails with an error that the policy names comes again after its pause, in virtual time."""
    steps = [ValueError("busy"), ValueError("busy")]

    def moody(ctx: Context, resource: object) -> str:
        if steps:
            raise steps.pop()
        return "done"

    clock = ManualClock()
    policy = RetryPolicy(retry_on=ValueError, backoff=1000.0, max_backoff=5000.0, max_elapsed=1e6)
    with InlineTaskManager(Config(on_create=object, worker_count=1, retry=policy), clock=clock) as manager:
        future = manager.submit(moody)
        assert manager.run_next() is not None
        assert manager.stats().delayed_tasks == 1
        before = clock.now()
        assert future.result() == "done"
        assert 0 < clock.now() - before <= 3000
        assert future.attempts == 3


def test_a_retry_budget() -> None:
    """What is used up is not retried, and successes fill it."""

    def fails(ctx: Context, resource: object) -> None:
        raise ValueError("busy")

    budget = RetryBudget(10)
    policy = RetryPolicy(retry_on=ValueError, budget=budget)
    with InlineTaskManager(Config(on_create=object, worker_count=1, retry=policy)) as manager:
        attempts = []
        for successes in (0, 4, 1):
            for _ in range(successes):
                manager.queue_task(lambda ctx, resource: None)
            future = manager.submit(fails)
            assert isinstance(future.exception(), ValueError)
            attempts.append(future.attempts)
        assert attempts == [3, 1, 2]
        assert manager.stats().refused_retries == 3


def test_a_stop_that_reports_what_is_delayed() -> None:
    """As the policy says: no further attempt, and the last error is the outcome."""

    def fails(ctx: Context, resource: object) -> None:
        raise ValueError("busy")

    policy = RetryPolicy(retry_on=ValueError, backoff=1000.0, at_stop="report")
    with InlineTaskManager(Config(on_create=object, worker_count=1, retry=policy)) as manager:
        future = manager.submit(fails)
        manager.run_next()
        report = manager.stop()
        assert isinstance(future.exception(), ValueError)
        assert (future.attempts, report.delayed_tasks, report.failed_tasks) == (1, 1, 1)


def test_a_task_that_snoozes() -> None:
    """It gives itself back, and comes again when its time has come on the clock."""
    steps: list[Exception] = [Snooze(3600), Snooze(60)]

    def moody(ctx: Context, resource: object) -> str:
        if steps:
            raise steps.pop()
        return "done"

    clock = ManualClock()
    with InlineTaskManager(Config(on_create=object, worker_count=1, max_retries=0), clock=clock) as manager:
        future = manager.submit(moody, once=True)
        assert manager.run_all() == 1
        assert (manager.stats().delayed_tasks, manager.pending) == (1, ())
        before = clock.now()
        assert future.result() == "done"
        assert clock.now() - before == pytest.approx(3660)
        assert (future.attempts, manager.stats().snoozed_tasks) == (1, 2)


def test_a_task_that_would_come_too_late() -> None:
    """max_elapsed counts on the clock, too."""

    def late(ctx: Context, resource: object) -> None:
        ctx.wait(100)
        raise ValueError("late")

    policy = RetryPolicy(retry_on=ValueError, max_elapsed=50)
    with InlineTaskManager(Config(on_create=object, worker_count=1, retry=policy), clock=ManualClock()) as manager:
        future = manager.submit(late)
        with pytest.raises(ValueError, match="late"):
            future.result()
        assert future.attempts == 1


def test_workers_know_themselves() -> None:
    """on_create(worker) and ctx.worker, with a value for each."""

    def same(ctx: Context, worker: WorkerInfo) -> Any:
        assert ctx.worker == worker
        return worker.value

    config = Config(on_create=lambda worker: worker, worker_count=1, max_worker_count=1, per_worker=["gpu"])
    with InlineTaskManager(config) as manager:
        assert manager.queue_task(same) == "gpu"


def test_refresh() -> None:
    """Each resource that was made is replaced at once, and a worker that has made none makes none for that."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources, worker_count=2, resource_pool_size=1)) as manager:
        assert manager.queue_task(number_of) == 2
        refresh = manager.refresh()
        assert refresh.done()
        assert refresh.result() is True
        assert [one.number for one in resources.alive] == [3, 4, 5]
        assert manager.queue_task(number_of) > 2
        assert manager.run_task(number_of) > 2
        assert (manager.stats().generation, manager.stats().renewed_workers) == (1, 1)


def test_refresh_in_a_task() -> None:
    """It is over when the task has ended; whoever waits for it runs what is queued."""
    resources = ScriptedResources()
    refreshes: list[Any] = []

    def ask(ctx: Context, resource: ScriptedResource) -> int:
        refreshes.append(manager.refresh())
        return resource.number

    with InlineTaskManager(config_of(resources)) as manager:
        future = manager.submit(ask)
        manager.submit(number_of)
        manager.run_next()
        assert future.result() == 1
        assert refreshes[0].result(1) is True
        assert refreshes[0].exception() is None
        assert 1 not in [one.number for one in resources.alive]


class Busy(Exception):
    """Of what the resource talks to."""


def test_a_resource_that_cools_down() -> None:
    """Its worker takes no task before the clock has come to the moment; another one does at once."""
    attempts: list[float] = []

    def ask(ctx: Context, resource: ScriptedResource) -> int:
        attempts.append(clock.now())
        if len(attempts) == 1:
            raise Busy
        return resource.number

    def verdict(error: BaseException) -> Health:
        return Health.COOL_DOWN(30)

    resources, clock = ScriptedResources(), ManualClock()
    with InlineTaskManager(config_of(resources, check_health=verdict), clock=clock) as manager:
        begun = clock.now()
        future = manager.submit(ask)
        manager.run_next()
        assert manager.stats().cooling_workers == 1
        assert future.result() == 1
        assert [moment - begun for moment in attempts] == [0, 30]
        assert manager.stats().cooling_workers == 0
    attempts.clear()
    with InlineTaskManager(config_of(resources, check_health=verdict, worker_count=2), clock=clock) as manager:
        begun = clock.now()
        assert manager.queue_task(ask) == 3
        assert clock.now() == begun
    resources.check()


def test_a_stop_of_an_inline_manager_waits_for_no_cool_down() -> None:
    """What is queued is run at once."""
    resources, clock = ScriptedResources(), ManualClock()
    tasks = iter([Busy(), None])

    def ask(ctx: Context, resource: ScriptedResource) -> None:
        error = next(tasks)
        if error is not None:
            raise error

    config = config_of(resources, check_health=lambda error: Health.COOL_DOWN(30))
    with InlineTaskManager(config, clock=clock) as manager:
        begun = clock.now()
        future = manager.submit(ask)
        manager.run_next()
        manager.stop()
        assert future.done() and clock.now() == begun
    resources.check()


def test_run_task_of_an_inline_manager_obeys_a_cool_down() -> None:
    """Its pool counts the time of the clock."""
    resources, clock = ScriptedResources(), ManualClock()

    def ask(ctx: Context, resource: ScriptedResource) -> None:
        raise Busy

    config = config_of(resources, resource_pool_size=1, check_health=lambda error: Health.COOL_DOWN(30))
    with InlineTaskManager(config, clock=clock) as manager:
        with pytest.raises(Busy):
            manager.run_task(ask)
        assert manager.stats().available_resources == 0
        assert manager.run_task(number_of) == 2
        clock.advance(30)
        assert manager.stats().available_resources == 1
        assert manager.run_task(number_of) == 1
    resources.check()


def test_an_inline_manager_obeys_a_dependency_that_is_down() -> None:
    """The next resource is made after the pause, in the time of the clock."""
    resources, clock = ScriptedResources(), ManualClock()
    verdict = {"check_health": lambda error: Health.DEPENDENCY_DOWN, "creation_backoff": 8}
    tasks = iter([Busy(), None])

    def ask(ctx: Context, resource: ScriptedResource) -> int:
        error = next(tasks)
        if error is not None:
            raise error
        return resource.number

    with InlineTaskManager(config_of(resources, **verdict), clock=clock) as manager:
        begun = clock.now()
        assert manager.queue_task(ask) == 2
        assert 4 <= clock.now() - begun <= 8
    resources.check()


def test_a_poison_task() -> None:
    """It is quarantined as in a TaskManager; on_quarantine is called in this thread, before the call returns."""
    got: list[Quarantined] = []
    resources = ScriptedResources()
    config = config_of(resources, quarantine_after=2, on_quarantine=got.append)
    with InlineTaskManager(config) as m:
        future = m.submit(breaks)
        error = future.exception()
        assert isinstance(error, PoisonTask)
        assert [info.id for info in got] == [future.id]
        assert m.stats().quarantined_tasks == 1
        assert m.explain().quarantined == (f"task #{future.id} {got[0].name}",)


def test_the_history_of_a_task() -> None:
    """Its times are those of the clock."""
    policy = RetryPolicy(retry_on=OSError, backoff=8.0, max_backoff=8.0)
    clock = ManualClock()
    errors = [OSError("one"), OSError("two")]

    def fails(ctx: Context, resource: Any) -> None:
        clock.advance(3.0)
        if errors:
            raise errors.pop(0)

    with InlineTaskManager(config_of(ScriptedResources(), retry=policy), clock=clock) as m:
        future = m.submit(fails)
        clock.advance(1.0)
        future.result()
        first, second, third = future.attempts_made
        assert (first.wait, first.run, first.verdict) == (1.0, 3.0, "try again")
        assert 0.0 <= second.wait <= 8.0
        assert (third.run, third.verdict) == (3.0, "succeeded")


def test_without_a_base() -> None:
    """The first task has a worker started, as in a TaskManager; nothing is made before."""
    resources = ScriptedResources()
    with InlineTaskManager(config_of(resources, worker_count=0)) as manager:
        assert manager.stats().starting_workers == 0
        future = manager.submit(number_of)
        assert manager.queue_task(number_of) == 1
        assert future.result() == 1


def test_creations_take_what_the_clock_says() -> None:
    """How long a creation took is measured on the clock of the manager; one that failed is counted apart."""
    errors = [ConnectionError("away")]

    def slow() -> object:
        clock.advance(3.0)
        for error in errors:
            errors.remove(error)
            raise error
        return object()

    clock = ManualClock()
    config = Config(on_create=slow, worker_count=1, max_worker_count=1, resource_pool_size=0)
    with InlineTaskManager(config, clock=clock) as m:
        m.queue_task(lambda ctx, resource: None)
        assert (m.stats().failed_creations, m.stats().resources.created) == (1, 1)
        assert m.metrics().average_creation_time == m.metrics().max_creation_time == 3.0
