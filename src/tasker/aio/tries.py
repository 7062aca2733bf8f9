"""A call of ``run_task`` that has a time limit or may be tried again: one attempt after the other in the caller's task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from tasker.control.retries import RetryPolicy
from tasker.core.inline_tries import InlineTries
from tasker.core.limited_calls import loop_call
from tasker.errors import TaskKilled

from .hooks import after_quarantine
from .run_task import AsyncRunTask


async def run_tries(
    run_task: AsyncRunTask,
    task: Callable[..., Any],
    args: tuple[Any, ...],
    retry: RetryPolicy | None,
    timeout: float | None,
    deadline: float | None,
) -> Any:
    """Runs the task. Returns its result or raises its error, or ``TypeError`` or ``ValueError`` for wrong options."""
    engine = run_task.engine
    tries = InlineTries(engine, task, args, retry=retry, timeout=timeout, deadline=deadline)
    limited = tries.limited
    if limited is not None and engine.backend is None:
        task = loop_call(engine.limits, limited, task)
    try:
        return await _attempts(run_task, tries, task)
    except BaseException as error:
        if tries.carried:  # it has ended between two attempts
            tries.carried = False
            run_task.leave(None, error, issubclass(type(error), TaskKilled | asyncio.CancelledError))
        raise
    finally:
        tries.end()


async def _attempts(run_task: AsyncRunTask, tries: InlineTries, task: Callable[..., Any]) -> Any:
    """Makes one attempt after the other."""
    while True:
        tries.begin()
        try:
            value = await run_task.run(task, tries.args, tries)
            tries.succeeded()
            return value
        except BaseException as raised:
            if not tries.follows(raised):
                await _raise(run_task, tries, raised)
        await _pause(run_task, tries)
        error = tries.missed()
        if error is not None:
            await _raise(run_task, tries, error)


async def _raise(run_task: AsyncRunTask, tries: InlineTries, raised: BaseException) -> NoReturn:
    """Raises the error of a call whose last attempt has ended with ``raised``."""
    error = tries.outcome(raised)
    if tries.quarantined is not None:
        telling = after_quarantine(run_task.engine, run_task.engine.hooks.quarantined(tries.quarantined))
        if telling is not None:
            await telling
    try:
        if error is raised:
            raise error
        raise error from error.__cause__
    finally:
        del raised, error  # their tracebacks hold this frame


async def _pause(run_task: AsyncRunTask, tries: InlineTries) -> None:
    """Waits for the time of the next attempt. A stop ends that, and a kill, which raises ``TaskKilled``."""
    engine, run = run_task.engine, run_task.enter(tries)
    try:
        while True:  # docs/decisions/0043
            if tries.hurried or (left := tries.until - engine.now()) <= 0:
                break
            await engine.queue.cooling.wait(engine.loop, left)
        await run.take_back()
    except BaseException as raised:
        error = await run_task.error_of(run, raised)
        if error is raised:
            raise
        raise error from raised
    finally:
        run_task.exit(run)
