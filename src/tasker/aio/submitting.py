"""Submitting: the half of ``AsyncTaskManager`` that takes tasks."""

from __future__ import annotations

import asyncio
import sys
from asyncio import _get_running_loop
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from contextvars import copy_context
from threading import get_ident
from time import monotonic
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack, overload

from tasker.config import Config
from tasker.context import Context
from tasker.core.checks import check_look_ahead
from tasker.errors import ShutdownError
from tasker.options import Priority, QueueOptions, TaskOptions, spells_out

from .engine import AsyncEngine
from .future import QUEUED, AsyncTaskFuture
from .mapping import as_completed, in_order

R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
Ts = TypeVarTuple("Ts")

_NORMAL = Priority.NORMAL
_CHEAP = sys.version_info >= (3, 12)
"""Whether it costs little to ask for the running loop. CPython 3.11 makes a system call for it; the thread, and whether
the loop runs at all, say the same."""


class Submitting(Generic[R]):
    """The ways in. Not public: ``AsyncTaskManager`` is."""

    _config: Config[R]
    _engine: AsyncEngine | None
    _loop: asyncio.AbstractEventLoop | None
    # What ``submit`` would else have to look up for each task.
    _next_number: Callable[[], int]
    _append_normal: Callable[[AsyncTaskFuture[Any]], None]
    _parked: deque[asyncio.Future[None]]
    _running: Callable[[], bool]
    _thread: int

    # -- tasks ----------------------------------------------------------------------------------------------------

    @overload
    def submit(
        self,
        task: Callable[[Context, R, *Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        callback: Callable[[T | None, BaseException | None], object] | None = ...,
        **options: Unpack[QueueOptions],
    ) -> AsyncTaskFuture[T]: ...

    @overload
    def submit(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        callback: Callable[[T | None, BaseException | None], object] | None = ...,
        **options: Unpack[QueueOptions],
    ) -> AsyncTaskFuture[T]: ...

    def submit(
        self,
        task: Callable[[Context, R, *Ts], Any],
        *args: *Ts,
        priority: Priority = _NORMAL,
        once: bool = False,
        callback: Callable[[Any, BaseException | None], object] | None = None,
        block: bool = True,
        queue_timeout: float | None = None,
    ) -> AsyncTaskFuture[Any]:
        """Queues ``task(ctx, resource, *args)`` and returns its future at once.

        ``priority``: started before all of lower priority; in the order of submission inside one.
        ``once``: never started a second time, even if the resource was at fault.
        ``callback(result, error)``: called exactly once, in the event loop, and awaited if it is asynchronous; what it
        raises is logged.
        ``block``, ``queue_timeout``: only for the common signature. A plain call can't wait in an event loop, so with a
        full ``Config.max_queue_size`` this raises ``QueueFull`` at once; ``submit_wait`` and ``queue_task`` wait.

        Raises ``ShutdownError`` when the manager takes no more tasks; with a ``callback`` that gets the error
        instead, and the returned future has failed.
        """
        if _get_running_loop() is not self._loop if _CHEAP else get_ident() != self._thread or not self._running():
            raise self._elsewhere()
        engine = self._engine
        assert engine is not None
        append = self._append_normal if priority is _NORMAL else engine.level(priority)
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}")
        if engine.must_admit:
            try:
                engine.admit(queue_timeout, False)
            except ShutdownError as error:
                if callback is None:
                    raise
                return self._refused(task, callback, error)
        variables = copy_context()
        future: AsyncTaskFuture[Any] = AsyncTaskFuture()
        future._engine = engine
        future._task = task
        future._held = args
        future._variables = variables or None
        future._stage = QUEUED
        future._asyncio_future_blocking = False
        future._extra = None
        future.id = self._next_number()
        future._queued_at = monotonic()
        if once or callback is not None:
            extra = future.extra()
            extra.once, extra.callback = once, callback
        append(future)
        if self._parked:
            engine.queue.wake()
        if priority is not _NORMAL and engine.backend is not None:
            engine.backend.overtake(priority)
        return future

    @overload
    async def submit_wait(
        self,
        task: Callable[[Context, R, *Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        callback: Callable[[T | None, BaseException | None], object] | None = ...,
        **options: Unpack[QueueOptions],
    ) -> AsyncTaskFuture[T]: ...

    @overload
    async def submit_wait(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        callback: Callable[[T | None, BaseException | None], object] | None = ...,
        **options: Unpack[QueueOptions],
    ) -> AsyncTaskFuture[T]: ...

    @spells_out(QueueOptions)
    async def submit_wait(
        self,
        task: Callable[[Context, R, *Ts], Any],
        *args: *Ts,
        callback: Callable[[Any, BaseException | None], object] | None = None,
        **options: Unpack[QueueOptions],
    ) -> AsyncTaskFuture[Any]:
        """``submit`` that waits for a slot where the queue is bounded and full, for ``queue_timeout`` seconds at
        most; then, or at once if not ``block``, it raises ``QueueFull``."""
        engine = self._here()
        if engine.queue_slots is not None and options.get("block", True):
            try:
                await engine.acquire_slot(options.get("queue_timeout"))
            except ShutdownError as error:
                if callback is None:
                    raise
                return self._refused(task, callback, error)
            engine.queue_slots.put_back()  # for ``submit`` to take, before the loop has another turn
        return self.submit(task, *args, callback=callback, **options)

    @overload
    async def queue_task(
        self,
        task: Callable[[Context, R, *Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        **options: Unpack[QueueOptions],
    ) -> T: ...

    @overload
    async def queue_task(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        **options: Unpack[QueueOptions],
    ) -> T: ...

    @spells_out(QueueOptions)
    async def queue_task(
        self,
        task: Callable[[Context, R, *Ts], Any],
        *args: *Ts,
        **options: Unpack[QueueOptions],
    ) -> Any:
        """Submits the task as ``submit_wait`` does, waits for the result and returns it; raises what the task raises.

        Cancelling the caller cancels the task: one that is queued never starts; one that runs is cancelled."""
        if self._engine is not None and self._engine.queue_slots is None:
            return await self.submit(task, *args, **options)
        return await (await self.submit_wait(task, *args, **options))

    @overload
    async def run_task(self, task: Callable[[Context, R, *Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T: ...

    @overload
    async def run_task(self, task: Callable[[Context, R, *Ts], T], *args: *Ts) -> T: ...

    async def run_task(self, task: Callable[[Context, R, *Ts], Any], *args: *Ts) -> Any:
        """Runs the task now, in the caller's own coroutine, past the queue, and returns its result.

        It gets an idle resource of the pool (``Config.resource_pool_size``), or a temporary one that is destroyed
        afterwards. It is not retried; an unhealthy error destroys the resource.

        Raises what the task raises; ``ResourceError`` if there is no resource and none can be made, or
        ``Config.max_temporary_resources`` are in use; ``ShutdownError``.
        """
        engine = self._here()
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        return await engine.run_task.run(task, args)

    @overload
    def map(
        self,
        task: Callable[[Context, R, A], Coroutine[Any, Any, T]],
        inputs: Iterable[A] | AsyncIterable[A],
        *,
        ordered: bool = ...,
        look_ahead: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> AsyncIterator[T]: ...

    @overload
    def map(
        self,
        task: Callable[[Context, R, A], T],
        inputs: Iterable[A] | AsyncIterable[A],
        *,
        ordered: bool = ...,
        look_ahead: int | None = ...,
        **options: Unpack[TaskOptions],
    ) -> AsyncIterator[T]: ...

    @spells_out(TaskOptions)
    def map(
        self,
        task: Callable[[Context, R, A], Any],
        inputs: Iterable[A] | AsyncIterable[A],
        *,
        ordered: bool = True,
        look_ahead: int | None = None,
        **options: Unpack[TaskOptions],
    ) -> AsyncIterator[Any]:
        """Yields ``task(ctx, resource, item)`` for each item, in the order of the inputs, or as they end.

        Lazy: at most ``look_ahead`` inputs (default: 1,000) are read and submitted ahead of what was yielded, so the
        inputs may be endless. The first task that fails raises here, at its place; then, and when the iterator is
        closed, what has not started is cancelled. Nothing is submitted before the first ``anext``.
        """
        look_ahead = check_look_ahead(look_ahead)
        if not isinstance(inputs, AsyncIterable):
            iter(inputs)

        async def submit(item: A) -> AsyncTaskFuture[Any]:
            return await self.submit_wait(task, item, **options)

        return (in_order if ordered else as_completed)(submit, inputs, look_ahead)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _here(self) -> AsyncEngine:
        if self._engine is None or _get_running_loop() is not self._loop:
            raise self._elsewhere()
        return self._engine

    def _elsewhere(self) -> RuntimeError:
        if self._engine is None:
            return ShutdownError(
                f"task manager {self._config.name!r} was not started: use 'async with AsyncTaskManager(config) as "
                f"manager:' or 'manager = await AsyncTaskManager(config)'"
            )
        return RuntimeError(
            f"task manager {self._config.name!r} belongs to another event loop or thread; from there, use "
            f"asyncio.run_coroutine_threadsafe(manager.queue_task(...), loop)"
        )

    def _refused(
        self, task: Any, callback: Callable[[Any, BaseException | None], object], error: ShutdownError
    ) -> AsyncTaskFuture[Any]:
        """The failed future of a task that was not accepted, its callback called."""
        assert self._engine is not None
        future: AsyncTaskFuture[Any] = AsyncTaskFuture()
        future._engine = self._engine
        future._task = task
        future._extra = None
        future.extra().callback = callback
        future._stage = QUEUED
        future._asyncio_future_blocking = False
        future.id = 0
        future._queued_at = monotonic()
        future._end_error(error)
        return future
