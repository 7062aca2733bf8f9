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
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from tasker.core.daemon import Daemon
from tasker.core.fork import disable_in_children
from tasker.core.outcomes import without_first_frame
from tasker.logs import GuardedLogger

from .cancellation import outlast, restore


class EngineOfThreads(Protocol):
    """The part of an engine that is used here."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def log(self) -> GuardedLogger: ...


class _Call:
    """A call to be made in the thread."""

    __slots__ = ("answer", "args", "begun", "outcome", "run")

    def __init__(
        self, run: Callable[..., Any], args: tuple[Any, ...], outcome: asyncio.Future[tuple[bool, Any]]
    ) -> None:
        self.run = run
        self.args = args
        self.outcome = outcome
        self.begun = False
        self.answer: tuple[bool, Any] | None = None


class _Line:
    """The calls for one thread, and at last None. The first one stays until it is dropped: what strikes the thread between two
    steps can lose neither a call nor its answer."""

    def __init__(self) -> None:
        self._calls: deque[_Call | None] = deque()
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, call: _Call | None) -> None:
        """Adds a call, in the loop's thread."""
        self._calls.append(call)
        # Behind the call: whoever takes the token that is there, or is put here, looks for calls after that.
        if self._tokens.empty():
            self._tokens.put(None)

    def first(self) -> _Call | None:
        """Waits for a call, in the other thread."""
        while not self._calls:
            self._tokens.get()
        return self._calls[0]

    def drop(self) -> None:
        """Removes the first call, if there is one."""
        if self._calls:
            self._calls.popleft()

    def give_answer(self, error: BaseException) -> None:
        """The call that has begun and was not answered, if there is one, has failed with this error."""
        call = self._calls[0] if self._calls else None
        if call is not None and call.begun and call.answer is None:
            call.answer = (True, error)


class OwnThread:
    """Runs calls in one thread, which is started when it is first needed. Used in the loop's thread."""

    def __init__(self, engine: EngineOfThreads, name: str, waits: set[asyncio.Future[Any]] | None = None) -> None:
        self._engine = engine
        self._loop = engine.loop
        self._name = name
        self._waits = waits
        """Where a wait for a function is to be noted that may never return; cancelled, it is given up."""
        self._given_up = False
        self._calls = _Line()
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
        caller was cancelled meanwhile (see ``outlast``). Raises ``CancelledError`` if the wait is given up."""
        if self._forked:
            raise _elsewhere()
        self._start()
        outcome: asyncio.Future[tuple[bool, Any]] = self._loop.create_future()
        self._outcome = outcome
        self._calls.put(_Call(variables.run, (fn, *args), outcome))
        # A function cannot be ended from outside, and the resource is in use until it has returned.
        if self._waits is not None:
            self._waits.add(outcome)
        try:
            struck = await outlast(outcome, on_struck)
        finally:
            if self._waits is not None:
                self._waits.discard(outcome)
            self._given_up = outcome.cancelled()
            if self._given_up:
                self._calls.put(None)  # the thread ends once it has returned from this
        self._outcome = None
        # Not set as the future's error, because a future refuses ``StopIteration``.
        raised, value = outcome.result()
        return raised, value, struck

    def begin_end(self) -> bool:
        """From here on it runs what ends its resource, which is waited for in any case. Returns False if it does not come to
        that: it was given up in what it runs."""
        self._waits = None
        return not self._given_up

    async def close(self) -> None:
        """Ends the thread once it is idle, and waits for that, unless it was given up."""
        if self._thread is None or self._ended is None or self._forked:
            return
        self._calls.put(None)
        if self._given_up:
            return
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
        thread.owner = self._engine
        disable_in_children(self)
        try:
            thread.start()
        except BaseException:
            # The system has no more threads: nothing may wait for this one, and the next call tries again. Or it was Ctrl-C, and
            # it runs all the same: then it ends.
            self._calls = _Line()
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

    def _run(self, calls: _Line, ended: asyncio.Future[None]) -> None:
        while True:
            try:
                for call in iter(calls.first, None):
                    self._answer(call)
                    if self._forked:
                        return
                    # Before the thread waits for the next call: it must not keep the last one alive.
                    del call
                    calls.drop()
                self._deliver(ended, None)
                return
            except BaseException as error:
                if self._forked:
                    raise  # shown as in any thread
                # An asynchronous exception, meant for a function that has just returned, or has not begun.
                without_first_frame(error)
                calls.give_answer(error)
                self._tell(error)

    def _answer(self, call: _Call) -> None:
        """Makes a call, unless that was done, and delivers its answer."""
        if not call.begun:
            call.begun = True
            try:
                call.answer = (False, call.run(*call.args))
            except BaseException as error:
                if self._forked:
                    raise
                without_first_frame(error)  # of this method, which would keep the error and its frames alive
                call.answer = (True, error)
        if not self._forked:
            self._deliver(call.outcome, call.answer)

    def _tell(self, error: BaseException) -> None:
        with suppress(RuntimeError):  # the loop was closed in the meantime
            self._loop.call_soon_threadsafe(self._engine.log.fault, f"the thread {self._name}", error)

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
