"""The programs of ``scenarios`` that are about the end of a manager, and of waits that have none."""

from __future__ import annotations

from typing import Any

from tasker import Context, DeadlockError, ResourceError, ShutdownError
from tasker.testing import FaultPlan, ScriptedResources, raises

from .scenarios import Factory, config_of, ended, number_of, outcome_of, value_of


def ready_timeout(make: Factory) -> Any:
    resources = ScriptedResources(FaultPlan().every_create(raises(OSError("down"))))
    manager = make(config_of(resources, ready_timeout=0.05))
    future = manager.submit(number_of)
    error = future.exception()
    return [
        isinstance(error, ResourceError),
        type(error and error.__cause__).__name__,
        ended(manager, resources)["report"],
    ]


def stop_without_resources(make: Factory) -> Any:
    resources = ScriptedResources(FaultPlan().every_create(raises(OSError("down"))))
    manager = make(config_of(resources))
    future = manager.submit(number_of)
    manager.stop()
    return [outcome_of(future.result)[0], resources.created, manager.stats().done_tasks]


def kills(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources))
    manager.queue_task(number_of)
    report = manager.kill()
    refusals = [
        outcome_of(lambda: manager.submit(number_of)),
        outcome_of(lambda: manager.queue_task(number_of)),
        outcome_of(lambda: manager.run_task(number_of)),
    ]
    return [report.killed, report.killed_tasks, report.abandoned, refusals, ended(manager, resources)]


def leaving_the_block(make: Factory) -> Any:
    resources = ScriptedResources()
    seen: list[Any] = []
    with make(config_of(resources)) as manager:
        future = manager.submit(number_of)
    seen += [future.result(), manager.closed]
    try:
        with make(config_of(resources)) as manager:
            raise ShutdownError("of the user's")
    except ShutdownError as error:
        seen.append(str(error))
    resources.check()
    return [*seen, manager.closed, manager.stop().killed]


def deadlocks(make: Factory) -> Any:
    resources = ScriptedResources()
    manager = make(config_of(resources, worker_count=2, max_worker_count=2))

    def nested(ctx: Context, resource: object, depth: int) -> int:
        return 0 if not depth else 1 + manager.queue_task(nested, depth - 1)

    seen = [manager.queue_task(nested, 1), outcome_of(lambda: manager.queue_task(nested, 2))[0]]
    seen += [outcome_of(lambda: manager.queue_task(lambda ctx, r: manager.stop()))[0]]
    seen += [outcome_of(lambda: manager.queue_task(lambda ctx, r: manager.kill()))[0]]
    assert seen[1:] == [DeadlockError.__name__] * 3
    report = manager.stop()
    resources.check()
    return [*seen, report.killed]


def parent_context(make: Factory) -> Any:
    resources = ScriptedResources()
    parent = Context().with_value("key", "value")
    manager = make(config_of(resources, ctx=parent))
    value = manager.queue_task(lambda ctx, r: ctx.value("key"))
    future = manager.submit(value_of, 1)
    parent.cancel("over")
    refused = outcome_of(lambda: manager.submit(value_of, 2))
    return [value, refused, future.result(), ended(manager, resources)]


ENDS = [ready_timeout, stop_without_resources, kills, leaving_the_block, deadlocks, parent_context]
