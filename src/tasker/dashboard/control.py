"""What a page may do to a manager, where that is allowed: resize, refresh, pause, resume, stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from tasker.core.daemon import Daemon
from tasker.errors import TaskerError

ACTIONS = ("resize", "refresh", "pause", "resume", "stop")


class ControlError(Exception):
    """An action that was not carried out, and why, in words."""


async def carry_out(manager: Any, body: Mapping[str, Any]) -> None:
    """Carries out an action, and does not wait for what follows from it. Raises ``ControlError``."""
    action = body.get("action")
    if action not in ACTIONS:
        raise ControlError(f"the action must be one of {', '.join(ACTIONS)}")
    act = _action(manager, action, body)
    try:
        loop = getattr(manager, "_loop", None)  # of an AsyncTaskManager, whose methods belong there
        if loop is None:
            act()
        else:
            await asyncio.wait_for(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_in_loop(act), loop)), 5)
    except (TaskerError, TypeError, ValueError, RuntimeError, TimeoutError) as error:
        raise ControlError(f"{type(error).__name__}: {error}") from error


async def _in_loop(act: Callable[[], Any]) -> None:
    given = act()
    if asyncio.iscoroutine(given):
        task = asyncio.ensure_future(given)
        _kept.add(task)
        task.add_done_callback(_ended)
        await asyncio.wait([task], timeout=0.1)  # an error that comes at once is told


_kept: set[asyncio.Task[Any]] = set()
"""The loop itself keeps a task only weakly."""


def _ended(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled():
        task.exception()  # was told, or nobody waits for it any longer


def _action(manager: Any, action: str, body: Mapping[str, Any]) -> Callable[[], Any]:
    match action:
        case "resize":
            bounds = {name: _bound(name, body[name]) for name in ("worker_count", "max_worker_count") if name in body}
            return lambda: manager.resize(**bounds)
        case "refresh":
            return manager.refresh  # type: ignore[no-any-return]
        case "pause":
            return lambda: manager.pause(0)
        case "resume":
            return manager.resume  # type: ignore[no-any-return]
        case _:
            return lambda: _stop(manager)


def _bound(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ControlError(f"{name} must be an integer, got {value!r}")
    return value


def _stop(manager: Any) -> Any:
    if getattr(manager, "_loop", None) is not None:
        return manager.stop()
    Daemon(manager.stop, "tasker-dashboard-stop").start()  # it waits for the tasks
    return None
