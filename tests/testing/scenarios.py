"""What a program does with a manager: written once, played on a ``TaskManager`` and on an ``InlineTaskManager``.

Each function takes a factory of managers and returns what the program gets to see. It needs no two things at a time.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from support.waiting import wait_until
from tasker import (
    Config,
    Context,
    MaxRetriesExceeded,
    QueueFull,
    TaskCancelled,
    TaskManager,
)
from tasker.testing import FaultPlan, ScriptedResource, ScriptedResources, raises

Factory = Callable[..., TaskManager[Any]]
Future = Callable[[], Any]


class Broken(Exception):
    """Of the resource."""


def config_of(resources: ScriptedResources[Any], **options: Any) -> Config[Any]:
    return Config(
        **{
            "on_create": resources.create,
            "on_destroy": resources.destroy,
            "worker_count": 1,
            "max_worker_count": 1,
            "resource_pool_size": 0,
            "creation_backoff": 0.001,
            "check_health": lambda error: not isinstance(error, Broken),
            **options,
        }
    )


def number_of(ctx: Context, resource: ScriptedResource) -> int:
    return resource.number


def value_of(ctx: Context, resource: object, value: Any) -> Any:
    return value


def fail(ctx: Context, resource: object, error: BaseException) -> Any:
    raise error


def outcome_of(call: Callable[[], Any]) -> Any:
    """Returns the result, or the type and text of the error and of its cause."""
    try:
        return call()
    except BaseException as error:
        cause = error.__cause__
        return type(error).__name__, str(error), cause and type(cause).__name__


def ended(manager: TaskManager[Any], resources: ScriptedResources[Any]) -> dict[str, Any]:
    """Stops the manager and returns its numbers."""
    report = manager.stop()
    resources.check()
    stats, metrics = manager.stats(), manager.metrics()
    return {
        "stats": stats,
        "report": (report.killed, report.killed_tasks, report.abandoned),
        "totals": (
            metrics.total_tasks_completed,
            metrics.total_tasks_failed,
            metrics.total_tasks_cancelled,
            metrics.total_tasks_retried,
            metrics.total_tasks_timed_out,
        ),
        "closed": manager.closed,
    }


def results_and_errors(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))
    good = manager.submit(value_of, 1)
    bad = manager.submit(fail, ValueError("bad"))
    exits = manager.submit(fail, SystemExit(3))
    stops = manager.submit(fail, StopIteration())
    return [
        outcome_of(good.result),
        outcome_of(bad.result),
        type(bad.exception()).__name__,
        outcome_of(exits.result),
        outcome_of(stops.result),
        [(one.done(), one.cancelled(), one.running(), one.attempts, one.worker, one.id) for one in (good, bad, exits)],
        outcome_of(lambda: manager.queue_task(value_of, 2)),
        ended(manager, resources),
    ]


def retries(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources, max_retries=2))
    tries: list[int] = []

    def flaky(ctx: Context, resource: ScriptedResource, good: int) -> int:
        tries.append(resource.number)
        if len(tries) < good:
            raise Broken(f"try {len(tries)}")
        return resource.number

    recovers = manager.submit(flaky, 3)
    seen = [outcome_of(recovers.result), recovers.attempts, list(tries)]
    exhausted = manager.submit(fail, Broken("always"))
    seen += [outcome_of(exhausted.result), exhausted.attempts]
    error = exhausted.exception()
    seen += [isinstance(error, MaxRetriesExceeded) and error.attempts]
    once = manager.submit(fail, Broken("once"), once=True)
    seen += [outcome_of(once.result), once.attempts, manager.queue_task(number_of)]
    return [*seen, ended(manager, resources)]


def cancellations(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))

    def cancels_another(ctx: Context, resource: object, own: Future) -> list[bool]:
        queued = manager.submit(value_of, 0)
        return [queued.cancel(), queued.cancel(), queued.done(), queued.cancelled()]

    def obeys(ctx: Context, resource: object, own: Future) -> None:
        own().cancel()
        ctx.raise_if_cancelled()

    def ignores(ctx: Context, resource: object, own: Future) -> str:
        return f"{own().cancel()}"

    def leaves_it_broken(ctx: Context, resource: object, own: Future) -> None:
        own().cancel()
        raise Broken("left in the middle")

    def cancels_its_context(ctx: Context, resource: object, own: Future) -> None:
        ctx.cancel("enough")
        ctx.raise_if_cancelled()

    futures = []
    for task in (cancels_another, obeys, ignores, leaves_it_broken, cancels_its_context):
        known = concurrent.futures.Future[Any]()  # the task may run before its future is known here
        futures.append(manager.submit(task, known.result))
        known.set_result(futures[-1])
    return [[(outcome_of(one.result), one.cancelled(), one.attempts) for one in futures], ended(manager, resources)]


def cancelled_and_unhealthy(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources, check_health=lambda error: not isinstance(error, TaskCancelled)))

    def cancels_its_context(ctx: Context, resource: object) -> None:
        ctx.cancel("enough")
        ctx.raise_if_cancelled()

    future = manager.submit(cancels_its_context)
    return [outcome_of(future.result), manager.queue_task(number_of), ended(manager, resources)]


def callbacks(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))
    seen: list[Any] = []

    def note(result: Any, error: BaseException | None) -> None:
        seen.append((result, error and str(error)))

    future = manager.submit(value_of, 1, callback=note)
    future.result()
    future.add_done_callback(lambda one: seen.append(one is future))
    outcome_of(manager.submit(fail, ValueError("bad"), callback=note).result)
    manager.submit(value_of, 2, callback=lambda result, error: 1 // 0).result()
    chained = manager.submit(value_of, 3, callback=lambda result, error: manager.submit(value_of, 4, callback=note))
    chained.result()
    end = ended(manager, resources)
    refused = manager.submit(value_of, 5, callback=note)
    return [sorted(map(str, seen)), outcome_of(refused.result), refused.done(), end]


def bounded(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources, max_queue_size=2))

    def fills_up(ctx: Context, resource: object) -> list[str]:
        refusals = []
        for _ in range(3):
            try:
                manager.submit(value_of, 0, block=False)
            except QueueFull as error:
                refusals.append(str(error))
        return refusals

    seen = [manager.queue_task(fills_up), [manager.queue_task(value_of, n) for n in range(5)]]
    return [*seen, list(manager.map(value_of, range(7))), ended(manager, resources)]


def maps(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))
    seen = [
        list(manager.map(value_of, range(5))),
        sorted(manager.map(value_of, range(5), ordered=False)),
        list(manager.map(value_of, [], look_ahead=3)),
    ]
    reads: list[int] = []

    def source() -> Any:
        for n in range(100):
            reads.append(n)
            yield n

    results = manager.map(value_of, source(), look_ahead=3)
    seen += [[next(results), next(results)], len(reads) <= 6]
    results.close()  # type: ignore[attr-defined]

    def inverse(ctx: Context, resource: object, n: int) -> float:
        return 1 / n

    seen.append(outcome_of(lambda: list(manager.map(inverse, [1, 0, 2]))))
    with manager.as_executor() as executor:
        seen.append(list(executor.map(pow, [2, 3], [3, 2])))
    seen.append(outcome_of(lambda: executor.submit(print)))
    end = ended(manager, resources)
    del end["stats"], end["totals"]  # how many of those ahead had begun is a matter of timing
    return [*seen, end]


def with_run_task(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources, resource_pool_size=1, max_temporary_resources=1))
    seen: list[Any] = [
        manager.run_task(number_of),
        manager.run_task(number_of),
        outcome_of(lambda: manager.run_task(fail, ValueError("bad"))),
        outcome_of(lambda: manager.run_task(fail, Broken("bad"))),
    ]
    wait_until(lambda: manager.stats().available_resources == 1, what="the pool is full again")
    seen += [
        outcome_of(
            lambda: manager.run_task(lambda ctx, r: manager.run_task(lambda ctx, r: manager.run_task(number_of)))
        ),
        outcome_of(lambda: manager.run_task(lambda ctx, r: (ctx.cancel("enough"), ctx.raise_if_cancelled()))),
        outcome_of(lambda: manager.run_task(lambda ctx, r: manager.stop())),
    ]
    end = ended(manager, resources)
    seen.append(outcome_of(lambda: manager.run_task(number_of)))
    return [*seen, end["report"], end["totals"], end["stats"].resources.alive]


def upkeep(make: Factory) -> Any:
    resources = ScriptedResources()
    returned: list[int] = []

    def on_return(resource: ScriptedResource) -> None:
        returned.append(resource.number)
        if len(returned) == 3:
            raise OSError("cannot be reset")

    manager = make(config_of(resources, on_return=on_return, max_tasks_per_resource=4))
    numbers = [manager.queue_task(number_of) for _ in range(9)]
    return [numbers, ended(manager, resources), returned[:9]]


def failing_creations(make: Factory) -> Any:
    resources = ScriptedResources(FaultPlan().create(range(1, 4), raises(OSError("down"))))
    manager = make(config_of(resources))
    seen = [manager.queue_task(number_of), resources.attempts]
    end = ended(manager, resources)
    pool = ScriptedResources(FaultPlan().create(2, raises(OSError("down"))))
    seen.append(outcome_of(lambda: make(config_of(pool, resource_pool_size=3))))
    pool.check()
    return [*seen, end]


def hooks_that_fail(make: Factory) -> Any:
    resources = ScriptedResources(FaultPlan().destroy(1, raises(OSError("gone"))))
    manager = make(config_of(resources, check_health=lambda error: 1 // 0))
    return [outcome_of(lambda: manager.queue_task(fail, Broken("x"))), ended(manager, resources)]


def collector(make: Factory) -> Any:
    resources = ScriptedResources()
    seen: list[str] = []

    class Collector:
        def record_arrival(self) -> None:
            seen.append("arrival")

        def record_completion(self, stamps: Any) -> None:
            seen.append(f"completion {stamps.queued_at <= stamps.started_at <= stamps.finished_at}")

        def record_failure(self, stamps: Any) -> None:
            seen.append("failure")

        def record_retry(self) -> None:
            seen.append("retry")

        def metrics(self) -> Any:
            return "mine"

    manager = make(config_of(resources, collector=Collector(), max_retries=1))
    outcome_of(lambda: manager.queue_task(value_of, 1))
    outcome_of(lambda: manager.queue_task(fail, ValueError("x")))
    outcome_of(lambda: manager.queue_task(fail, Broken("x")))
    manager.stop()
    return [seen, manager.metrics()]


def wrong_arguments(make: Factory) -> Any:
    resources = ScriptedResources()
    manager: Any = make(config_of(resources, max_queue_size=1))

    async def coroutine_function(ctx: Context, resource: object) -> None: ...

    calls: list[Callable[[], Any]] = [
        lambda: manager.submit(None),
        lambda: manager.submit(value_of, 1, callback=1),
        lambda: manager.submit(value_of, 1, priority=7),
        lambda: manager.submit(value_of, 1, queue_timeout="1"),
        lambda: manager.submit(value_of, 1, queue_timeout=-1),
        lambda: manager.submit(value_of, 1, other=1),
        lambda: manager.run_task(None),
        lambda: manager.map(value_of, [], look_ahead=0),
        lambda: manager.stop(-1),
        lambda: manager.kill("1"),
        lambda: manager.resize(worker_count=-1),
        lambda: make(None),
        lambda: make(config_of(resources, on_create=coroutine_function)),
        lambda: manager.queue_task(coroutine_function),
    ]
    return [[outcome_of(call)[0] for call in calls], ended(manager, resources)]


def resizing(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))
    manager.resize(worker_count=3, max_worker_count=4)
    wait_until(lambda: manager.explain().worker_count == 3, what="the manager knows of it")
    seen = [manager.explain().max_worker_count, manager.queue_task(value_of, 1), manager.name]
    manager.resize(worker_count=1, max_worker_count=1)
    seen += [manager.queue_task(value_of, 2), manager.config.worker_count]
    manager.stop()
    resources.check()
    return seen


SCENARIOS = [
    results_and_errors,
    retries,
    cancellations,
    cancelled_and_unhealthy,
    callbacks,
    bounded,
    maps,
    with_run_task,
    upkeep,
    failing_creations,
    hooks_that_fail,
    collector,
    wrong_arguments,
    resizing,
]
