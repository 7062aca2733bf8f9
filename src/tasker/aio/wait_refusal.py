"""Refuses waits: throws an error into what is suspended, without cancelling what it waits for."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from tasker.core.stacks import part_of
from tasker.errors import DeadlockError

from .future import AsyncTaskFuture
from .queue_slots import AnnouncedWait
from .wait_detection import listeners_of

T = TypeVar("T")


class LendsToCallers(Protocol):
    """The part of ``Lending`` that is used here."""

    @property
    def kept_out(self) -> set[asyncio.Task[Any] | None]: ...


class OwnEngine(Protocol):
    """The part of an engine that is used here."""

    @property
    def lending(self) -> LendsToCallers: ...


@types.coroutine
def without_own(coroutine: Coroutine[Any, Any, T], engine: OwnEngine, what: str) -> Generator[Any, Any, T]:
    """Awaits a hook of a worker, which must not wait for a task of its own manager: an ``await`` of one raises
    ``DeadlockError`` there. ``what`` names the hook."""
    task = asyncio.current_task()
    engine.lending.kept_out.add(task)  # so that it waits always, and not only where no worker is idle
    try:
        return (yield from _refusing(coroutine, engine, what))
    finally:
        engine.lending.kept_out.discard(task)


def _refusing(coroutine: Coroutine[Any, Any, T], engine: object, what: str) -> Generator[Any, Any, T]:
    step: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        try:
            waited = step(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if isinstance(waited, AsyncTaskFuture | AnnouncedWait) and waited._engine is engine:
            waited._asyncio_future_blocking = False  # the loop's task would reset it, but does not get the future
            step, argument = coroutine.throw, DeadlockError(f"{what} waits for {waited} of its own manager")
            continue
        try:
            yield waited
        except BaseException as error:
            step, argument = coroutine.throw, error
        else:
            step, argument = coroutine.send, None


def refuse_wait(task: asyncio.Task[Any], waited: Any, error: BaseException) -> None:
    """Has the ``await`` in which ``task`` waits for the future ``waited`` raise the error. ``Task.cancel`` would cancel
    ``waited`` too, which others may wait for."""
    if waited.done():
        return
    if not isinstance(waited, AsyncTaskFuture | asyncio.Task):
        waited.set_exception(error)  # a future that was made for this wait alone
        return
    # The outcome of these is not ours to set. The task is woken as if the future had failed, and does not listen to it
    # any more.
    failed = task.get_loop().create_future()
    failed.set_exception(error)
    for callback, context in listeners_of(waited):
        if part_of(callback, "__self__") is task:
            waited.remove_done_callback(callback)
            failed.add_done_callback(callback, context=context)
