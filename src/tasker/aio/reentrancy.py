"""Refuses calls that would wait for the task or callback in which they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Protocol

from tasker.errors import DeadlockError

from .wait_detection import reached


class HasWorkers(Protocol):
    """The part of an engine that the search for the caller uses."""

    @property
    def workers(self) -> dict[Any, Any]: ...


class UserCodeScope(Protocol):
    """A place apart from workers where user code runs: ``run_task`` or the callbacks."""

    @property
    def engine(self) -> object:
        """The engine that it belongs to."""
        ...

    def holds(self, number: int) -> str | None:
        """Describes the run with this number, or returns None if it has ended."""


class HookScope:
    """A call of a hook that belongs to no worker, during which the end of the engine waits for it."""

    def __init__(self, engine: object, what: str) -> None:
        self.engine: object = engine
        self._what: str | None = what

    def holds(self, number: int) -> str | None:
        """See ``UserCodeScope``."""
        return self._what

    def ended(self) -> None:
        """Notes that the hook has returned: what it has started may live on, and is not waited for."""
        self._what = None


_Marks = tuple[tuple[UserCodeScope, int], ...]

current: ContextVar[_Marks] = ContextVar("tasker_current", default=())
"""The scopes and the numbers of the runs that this code belongs to, the innermost first. Set by the scopes, and inherited by the
tasks of the loop that are started in them. Numbers and not futures: whatever inherits them may live long, and must not keep
a result alive."""


def mark(scope: UserCodeScope, number: int) -> Token[_Marks]:
    """Marks the code that follows as part of a run, and of those that it belongs to already. Returns what ``current.reset``
    takes."""
    mine, outer = (scope, number), current.get()
    if not outer:
        return current.set((mine,))
    # Without those that have ended: a run may start a task of the loop that makes the next run, and so on for ever.
    return current.set((mine, *(one for one in outer if one[0].holds(one[1]) is not None)))


@contextmanager
def hook_scope(engine: object, what: str) -> Iterator[None]:
    """Marks what is called inside as a call of the hook ``what``."""
    scope = HookScope(engine, what)
    token = mark(scope, 0)
    try:
        yield
    finally:
        scope.ended()
        current.reset(token)


def enclosing_user_code(engine: HasWorkers) -> str | None:
    """Describes the task or callback of this engine in which the caller runs, or returns None."""
    for scope, number in current.get():
        where = scope.holds(number) if scope.engine is engine else None
        if where is not None:
            return where
    return running_for(engine, asyncio.current_task())


def running_for(engine: HasWorkers, me: asyncio.Task[Any] | None) -> str | None:
    """Describes the task of this engine that runs in the task ``me`` of the loop or waits for it, or returns None."""
    # Workers set no variable, which would cost a tenth of each task; their waits are followed instead: the caller is
    # inside of a task if that one waits for it.
    seen: dict[int, Any] = {}  # by all workers: what one of them has reached without finding it, needs no other look
    for worker in engine.workers.values():
        if worker.task is me or any(one is me for one in reached(worker.waits_for(), seen)):
            return f"{worker.shard.future or 'a callback'} in worker {worker.name}"
    return None


def forbid_reentry(engine: HasWorkers, what: str) -> None:
    """Raises ``DeadlockError`` if the caller runs in a task or callback of this engine."""
    where = enclosing_user_code(engine)
    if where is not None:
        raise DeadlockError(f"{what} was called from inside {where}, which it would wait for")
