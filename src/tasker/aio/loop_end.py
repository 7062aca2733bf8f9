"""Lets a hook outlast the end of its event loop.

Before a loop is closed, ``asyncio.run`` cancels all its tasks, and waits for them. ``on_destroy`` must not be cut short
by that. It cannot run in a task of its own either, because what a resource holds may be bound to the task in which it was
made. So its task gets the cancellation, and the hook does not.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class CountsLoopEnds(Protocol):
    """The part of an engine that knows about the end of its loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def loop_ends(self) -> int:
        """How often all tasks of the loop were cancelled."""
        ...


@types.coroutine
def outlasting_loop_end(coroutine: Coroutine[Any, Any, T], engine: CountsLoopEnds) -> Generator[Any, Any, T]:
    """Awaits ``coroutine`` in the current task. The cancellation by which the loop ends does not reach it; any other one
    does, such as that of an ``asyncio.timeout`` inside."""
    excused = engine.loop_ends  # those before this call have struck already
    step: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        try:
            waited = step(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        step, argument = coroutine.send, None
        if asyncio.isfuture(waited):
            # As the loop's task does, which gets another future: ``Task.cancel`` would cancel this one.
            waited._asyncio_future_blocking = False
        while True:
            try:
                yield from _until_done(waited, engine.loop)
                break
            except asyncio.CancelledError as error:
                if excused < engine.loop_ends:
                    excused = engine.loop_ends
                elif not asyncio.isfuture(waited) or not waited.cancel(*error.args[:1]):
                    step, argument = coroutine.throw, error
                    break
                # Otherwise the future is being cancelled, and raises the error in the hook.
            except BaseException as error:
                step, argument = coroutine.throw, error
                break


def _until_done(waited: Any, loop: asyncio.AbstractEventLoop) -> Generator[Any, Any, None]:
    if not asyncio.isfuture(waited):
        yield waited  # a bare yield: one turn of the loop
        return
    while not waited.done():
        woken = loop.create_future()

        def wake(_: object, woken: asyncio.Future[None] = woken) -> None:
            if not woken.done():
                woken.set_result(None)

        waited.add_done_callback(wake)
        try:
            yield from woken
        finally:
            waited.remove_done_callback(wake)
