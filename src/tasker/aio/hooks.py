"""Calls of the user's hooks that may be coroutine functions. Each is guarded: an error is logged and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from tasker.control.attempts import health_of
from tasker.control.health import Health
from tasker.core.probing import RETURNED_FALSE, fault_of, passes
from tasker.core.user_functions import is_awaitable

from .ports import EndingLoop, EngineInLoop
from .resource_handle import AsyncResourceHandle
from .user_functions import awaited
from .wait_refusal import without_own


async def health_after(engine: EndingLoop, error: BaseException) -> Health:
    """Returns what an error of a task says of the resource. If ``check_health`` itself raises, or returns what means nothing,
    the error is the task's own fault."""
    check = engine.config.check_health
    if check is None:
        return Health.OK
    try:
        verdict: Any = check(error)
        if is_awaitable(verdict):
            verdict = await without_own(awaited(verdict), engine, "check_health")
        return health_of(verdict)
    except BaseException as fault:
        if engine.torn_down:
            raise
        # The cancellation by which the loop ends says nothing of the check.
        if not (engine.loop_ends and isinstance(fault, asyncio.CancelledError)):
            engine.log.fault("check_health", fault)
        return Health.OK


async def reset(engine: EngineInLoop, handle: AsyncResourceHandle) -> bool:
    """Calls ``on_return`` between two tasks. Returns False if it has raised: then the resource is to be replaced."""
    on_return = engine.config.on_return
    if on_return is None or engine.is_forked:  # then the resource is the parent's
        return True
    assert handle.caller is not None
    try:
        await without_own(handle.caller.call(on_return, handle.resource), engine, "on_return")
    except BaseException as fault:
        if engine.torn_down:
            raise
        engine.log.fault("on_return", fault)
        return False
    return True


def after_quarantine(engine: EngineInLoop, returned: object) -> Awaitable[None] | None:
    """Returns what is to be awaited after ``on_quarantine`` has returned that, if it is asynchronous."""
    return _to_its_end(engine, returned) if is_awaitable(returned) else None


async def _to_its_end(engine: EngineInLoop, returned: Awaitable[object]) -> None:
    try:
        await returned
    except BaseException as fault:
        if engine.torn_down:
            raise
        engine.log.fault("on_quarantine", fault)


async def fits(engine: EngineInLoop, handle: AsyncResourceHandle, owner: str) -> bool:
    """Calls ``check_resource``. Returns False if the resource is to be replaced."""
    return passes(engine, owner, await why_unfit(engine, handle))


async def why_unfit(engine: EngineInLoop, handle: AsyncResourceHandle) -> str | None:
    """Calls ``check_resource``. Returns why the resource is to be replaced, or None."""
    check: Any = engine.config.check_resource
    assert handle.caller is not None
    try:
        answer = await without_own(handle.caller.call(check, handle.resource), engine, "check_resource")
        return RETURNED_FALSE if answer is False else None
    except BaseException as fault:
        if engine.torn_down:
            raise
        return fault_of(fault)
