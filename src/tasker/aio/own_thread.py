"""OwnThread: where the synchronous functions of one resource run.

A blocking call in the loop's thread holds up every task, timer and connection of the program. So it runs in a thread;
and always in the same one, because some resources (``sqlite3`` connections, synchronous browser drivers) insist on the
thread that made them. The thread starts with the first call and ends with the resource.

Nobody can end a function that runs in a thread. So a cancellation of the coroutine that waits for it is kept until the
function has returned: the resource is in use until then.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

_Call = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[tuple[bool, Any]]"]


class OwnThread:
    """One thread, started when it is first needed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    async def call(self, variables: contextvars.Context, fn: Callable[..., Any], *args: Any) -> Any:
        """Runs ``fn(*args)`` there, with these context variables; returns what it returns, raises what it raises.

        Cancelling this waits for the function all the same; the cancellation follows from the caller's next
        ``await``."""
        outcome: asyncio.Future[tuple[bool, Any]] = self._loop.create_future()
        self._start()
        self._calls.put((variables.run, (fn, *args), outcome))
        cancelled = await _to_its_end(outcome)
        if cancelled:
            _cancel_again()
        raised, value = outcome.result()
        try:
            if raised:
                raise value
            return value
        finally:
            del value, outcome

    async def close(self) -> None:
        """Ends the thread once it is idle, and waits for that."""
        if self._thread is None or self._ended is None:
            return
        self._calls.put(None)
        if await _to_its_end(self._ended):
            _cancel_again()
        self._thread.join()  # it has nothing left to do but to return
        self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._ended = self._loop.create_future()
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            run, args, outcome = call
            try:
                answer = (False, run(*args))
            except BaseException as error:
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next  # less this frame, which lives on
                answer = (True, error)
            self._tell(outcome, answer)
            del call, run, args, outcome, answer
        assert self._ended is not None
        self._tell(self._ended, None)

    def _tell(self, future: asyncio.Future[Any], answer: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, future, answer)
        except RuntimeError:  # the loop was closed in the meantime: nobody waits any more
            pass


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


async def _to_its_end(future: asyncio.Future[Any]) -> bool:
    """Waits, whatever happens to the one who waits; True if it was cancelled meanwhile."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _cancel_again() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
        task.cancel()
