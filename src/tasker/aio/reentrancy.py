"""Where a coroutine is: inside a task of which manager."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any, Protocol

from tasker.errors import DeadlockError

from .wait_detection import reached


class HasWorkers(Protocol):
    """What is asked of an engine."""

    @property
    def workers(self) -> dict[Any, Any]: ...


class UserCodeScope(Protocol):
    """Where user code runs apart from workers: ``run_task``, a callback."""

    @property
    def engine(self) -> object:
        """The engine it belongs to."""
        ...

    def holds(self, number: int) -> str | None:
        """What runs there, in words, if it still is what had this number."""


current: ContextVar[tuple[UserCodeScope, int] | None] = ContextVar("tasker_current", default=None)
"""Set by the places, and inherited by the tasks of the loop that are started there. It names a number and not a future,
because what inherits it may live long, and must not keep a result alive."""


def inside(engine: HasWorkers) -> str | None:
    """What of this engine's the caller runs in, in words; None if nothing."""
    this_thread = current.get()
    if this_thread is not None and this_thread[0].engine is engine:
        where = this_thread[0].holds(this_thread[1])
        if where is not None:
            return where
    me = asyncio.current_task()
    for worker in engine.workers.values():
        if worker.task is me or any(one is me for one in reached(worker.waits_for())):
            return f"{worker.shard.future or 'a callback'} in worker {worker.name}"
    return None


def forbid_reentry(engine: HasWorkers, what: str) -> None:
    """``DeadlockError`` where the caller runs in a task or callback of this manager."""
    where = inside(engine)
    if where is not None:
        raise DeadlockError(f"{what} was called from inside {where}, which it would wait for")
