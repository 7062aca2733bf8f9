"""OwnThread: runs the synchronous functions of one resource, always in the same thread.

A blocking call in the loop's thread would hold up every task, timer and connection of the program. The thread is always
the same one because some resources (``sqlite3`` connections, synchronous browser drivers) insist on the thread that
made them. It starts with the first call and ends with the resource.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from tasker.core.daemon import Daemon
from tasker.core.fork import disable_in_children
from tasker.core.outcomes import without_first_frame

from .cancellation import outlast, restore

_Call = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[tuple[bool, Any]]"]


class OwnThread:
    """Runs calls in one thread, which is started when it is first needed. Used in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None
        self._outcome: asyncio.Future[tuple[bool, Any]] | None = None
        """Of the last call."""
        self._forked = False

    async def call(self, variables: contextvars.Context, fn: Callable[..., Any], *args: Any) -> Any:
        """Runs ``fn(*args)`` in the thread with these context variables. Returns its result or raises its error.

        If the caller is cancelled meanwhile, this still waits for the function; ``CancelledError`` is raised by the
        caller's next ``await``."""
        raised, value, struck = await self.outcome_of(variables, fn, *args)
        if struck is not None:
            restore(struck)
        try:
            if raised:
                raise value
            return value
        finally:
            del value, struck  # the error's traceback holds this frame

    async def outcome_of(
        self,
        variables: contextvars.Context,
        fn: Callable[..., Any],
        *args: Any,
        on_struck: Callable[[asyncio.CancelledError], object] | None = None,
    ) -> tuple[bool, Any, asyncio.CancelledError | None]:
        """As ``call``, but returns whether ``fn`` has raised, its error or its result, and the error by which the
        caller was cancelled meanwhile (see ``outlast``)."""
        if self._forked:
            raise _elsewhere()
        self._start()
        outcome: asyncio.Future[tuple[bool, Any]] = self._loop.create_future()
        self._outcome = outcome
        self._calls.put((variables.run, (fn, *args), outcome))
        # A function cannot be ended from outside, and the resource is in use until it has returned.
        struck = await outlast(outcome, on_struck)
        self._outcome = None
        # Not set as the future's error, because a future refuses ``StopIteration``.
        raised, value = outcome.result()
        return raised, value, struck

    async def close(self) -> None:
        """Ends the thread once it is idle, and waits for that."""
        if self._thread is None or self._ended is None or self._forked:
            return
        self._calls.put(None)
        if (struck := await outlast(self._ended)) is not None:
            restore(struck)
        self._thread.join()  # does not block: the thread has only to return
        self._thread = None

    def _start(self) -> None:
        if self._thread is not None:
            return
        calls, ended = self._calls, self._loop.create_future()
        # A daemon: a function that never returns must not keep the interpreter from exiting.
        thread = Daemon(partial(self._run, calls, ended), self._name)
        disable_in_children(self)
        try:
            thread.start()
        except BaseException:
            # The system has no more threads: nothing may wait for this one, and the next call tries again. Or it was Ctrl-C, and
            # it runs all the same: then it ends.
            self._calls = queue.SimpleQueue()
            calls.put(None)
            raise
        self._thread, self._ended = thread, ended

    def forked(self) -> None:
        """See ``core.fork``."""
        # Either this thread has forked, and ends, as there is no loop to deliver to. Or the loop's thread has, and what
        # waits for this one would wait for ever.
        self._forked = True
        if self._outcome is not None and not self._loop.is_closed():
            self._loop.call_soon(_settle, self._outcome, (True, _elsewhere()))

    def _run(self, calls: queue.SimpleQueue[_Call | None], ended: asyncio.Future[None]) -> None:
        while (call := calls.get()) is not None:
            run, args, outcome = call
            try:
                answer = (False, run(*args))
            except BaseException as error:
                if self._forked:
                    raise  # shown as in any thread
                without_first_frame(error)  # of this loop, which would keep the error and its frames alive
                answer = (True, error)
            if self._forked:
                return
            self._deliver(outcome, answer)
            # Before the thread waits for the next call: it must not keep the last one alive.
            del call, run, args, outcome, answer
        self._deliver(ended, None)

    def _deliver(self, future: asyncio.Future[Any], answer: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, future, answer)
        except RuntimeError:  # the loop was closed in the meantime: nothing waits any more
            pass


def _elsewhere() -> RuntimeError:
    return RuntimeError("the thread of this resource exists in the parent process only")


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)
