"""Submitting: the half of ``AsyncTaskManager`` that accepts tasks."""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextvars import copy_context
from threading import get_ident
from time import monotonic
from typing import Any, Generic, TypeVar, TypeVarTuple, Unpack, overload

from tasker.config import Config
from tasker.context import Context
from tasker.control.retries import RetryPolicy
from tasker.core.checks import check_look_ahead, check_rare
from tasker.errors import ShutdownError
from tasker.options import Priority, QueueOptions, TaskOptions, spells_out

from .current import LOOKUP_IS_CHEAP
from .engine import AsyncEngine
from .future import ENDED, QUEUED, AsyncTaskFuture
from .mapping import AsCompleted, InOrder, results
from .stack_room import check_stack
from .tries import run_tries

R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
Ts = TypeVarTuple("Ts")

_NORMAL = Priority.NORMAL


class Submitting(Generic[R]):
    """Accepts tasks. Not public: ``AsyncTaskManager`` is."""

    _config: Config[R]
    _engine: AsyncEngine | None
    _loop: asyncio.AbstractEventLoop | None
    # Looked up once, because ``submit`` needs them for each task.
    _numbers: Iterator[int]
    _normal: deque[AsyncTaskFuture[Any]]
    _idle: deque[asyncio.Future[None]]
    _running: Callable[[], bool]
    _begin: Callable[..., AsyncTaskFuture[Any] | None]
    """``Lending.begin``."""
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
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        callback: Callable[[Any, BaseException | None], object] | None = None,
        block: bool = True,
        queue_timeout: float | None = None,
    ) -> AsyncTaskFuture[Any]:
        """Queues ``task(ctx, resource, *args)`` and returns its future at once. To be called in the manager's event
        loop.

        ``priority``: the task is started before all queued tasks of lower priority, and after those of the same
        priority that were submitted before it.
        ``once``: the task is never started a second time, even if the resource was to blame for its error; unless it gives
        itself back by ``Snooze``.
        ``retry``: when the task is tried again, in place of ``Config.retry``.
        ``timeout``: the seconds that each attempt may take, from its start; ``deadline``: the seconds from now within which
        the task has to end, and after which it does not start. Then it is cancelled, and it ends with ``TaskTimeout``, after
        ``Config.cancel_grace`` seconds even if it goes on. None: as the configuration says; ``math.inf``: no limit.
        ``callback(result, error)``: called exactly once, in the event loop, with the result and None or with None and
        the error; awaited if it is asynchronous. An error that it raises is logged and counted.
        ``block``, ``queue_timeout``: accepted for the signature in common with ``TaskManager``, and ignored. A function
        that is not a coroutine cannot wait in an event loop; ``submit_wait`` and ``queue_task`` can.

        Raises ``QueueFull`` if ``Config.max_queue_size`` tasks are waiting, ``TypeError`` or ``ValueError`` for a wrong
        argument, and ``RuntimeError`` in another event loop or thread. Raises ``ShutdownError`` if the manager accepts
        no more tasks; with a ``callback``, that gets the error instead, and the returned future has failed with it.
        """
        if (
            _get_running_loop() is not self._loop
            if LOOKUP_IS_CHEAP
            else get_ident() != self._thread or not self._running()
        ):
            raise self._usage_error()
        # Ctrl-C may raise KeyboardInterrupt in here, as in ``TaskManager.submit``: where a call of C returns, and where one of
        # Python begins.
        engine = self._engine
        assert engine is not None
        level = self._normal if priority is _NORMAL else engine.level(priority)
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        if self._idle:
            check_stack()  # here, where nothing has happened yet: a wakeup that fails half-way loses the worker
        future: AsyncTaskFuture[Any] | None = None
        has_slot = False
        try:
            if engine.must_admit:
                check_rare(callback, retry)
                has_slot = engine.admit(queue_timeout)
                timeout, deadline = engine.limits.filled_in(timeout, deadline)
            variables = copy_context()
            # The fields one by one: an ``__init__`` in Python would cost a tenth of a task.
            future = AsyncTaskFuture()
            future._engine = engine
            future._task = task
            future._held = args
            future._variables = variables or None
            future._stage = QUEUED
            future._asyncio_future_blocking = False
            future._extra = None
            if once or callback is not None or retry is not None:  # most tasks never get an ``Extra``
                check_rare(callback, retry)
                extra = future.extra()
                extra.once, extra.callback, extra.retry = once, callback, retry
            future._queued_at = monotonic()
            # A loop, not ``next``: between the end of that call and the assignment Ctrl-C could strike, and a number that no task
            # has would keep a stop waiting.
            for future.id in self._numbers:
                break
            # Last: a task in the queue has all its fields. From here on it is accepted.
            if timeout is None and deadline is None:
                level.append(future)
            else:
                engine.limit(future, timeout, deadline)
                level.append(future)
                engine.keep_deadline(future)  # not before: what ends at its deadline is counted as accepted
            if self._idle:
                engine.queue.wake()
        except BaseException as error:
            engine.unsubmitted(future, level, has_slot)
            if callback is not None and isinstance(error, ShutdownError):
                return self._refused(task, callback, error)
            raise
        # A task that is more urgent than some that were sent ahead must not wait behind them.
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
        """Submits the task as ``submit`` does, but waits for a slot if the queue is full (``Config.max_queue_size``).

        Raises what ``submit`` raises; ``QueueFull`` if there is no slot within ``queue_timeout`` seconds (default: no
        limit), or at once if ``block`` is False; ``DeadlockError`` in a task of this manager if the wait would never
        end.
        """
        engine = self._running_engine()
        if engine.queue_slots is not None and options.get("block", True):
            try:
                await engine.acquire_slot(options.get("queue_timeout"))
            except ShutdownError as error:
                if callback is None:
                    raise
                return self._refused(task, callback, error)
            # For ``submit``, which takes it at once: there is no ``await`` in between, so no other caller can.
            engine.queue_slots.put_back()
            try:
                return self.submit(task, *args, callback=callback, **options)
            except BaseException:
                engine.queue_slots.pass_on()
                raise
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
        """Submits the task as ``submit_wait`` does, waits for its result and returns it.

        Cancelling the caller cancels the task: a queued one is never started, a running one is cancelled. Raises what
        ``submit_wait`` and the task raise, and ``DeadlockError`` in a task of this manager if the wait would never end.
        """
        # Without a bound there is nothing to wait for, which saves a coroutine for each task.
        engine = self._engine
        if engine is not None and engine.queue_slots is None:
            # Most often a worker is idle, and the task does not wait: then nothing has to wait for anything.
            future = self._begin(task, args) if self._idle and not options else None
            if future is None:
                future = self.submit(task, *args, **options)
            elif future._stage == ENDED:
                return future._held
            return await future
        return await (await self.submit_wait(task, *args, **options))

    @overload
    async def run_task(
        self,
        task: Callable[[Context, R, *Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        retry: RetryPolicy | None = ...,
        timeout: float | None = ...,
        deadline: float | None = ...,
    ) -> T: ...

    @overload
    async def run_task(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        retry: RetryPolicy | None = ...,
        timeout: float | None = ...,
        deadline: float | None = ...,
    ) -> T: ...

    async def run_task(
        self,
        task: Callable[[Context, R, *Ts], Any],
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Runs the task at once, in the caller's own coroutine and past the queue, and returns its result.

        The task gets an idle resource of the pool (``Config.resource_pool_size``) or, if there is none, a temporary one
        that is destroyed afterwards. An unhealthy error destroys the resource. ``timeout``, ``deadline``: as for ``submit``; but a
        task that goes on, though it was cancelled, is waited for. ``retry``: when the task is tried again, by the caller, who waits
        for the pauses; None: never, whatever ``Config.retry`` says.

        Raises what the task raises; ``TaskTimeout``, ``MaxRetriesExceeded`` and ``PoisonTask`` as a future does; ``ResourceError`` if
        a resource cannot be made or ``Config.max_temporary_resources`` are in use; ``ShutdownError`` if the manager accepts no more
        tasks; ``TaskKilled`` if the manager is killed meanwhile; ``TypeError`` or ``ValueError`` for a wrong argument;
        ``RuntimeError`` in another event loop or thread.
        """
        engine = self._running_engine()
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        if retry is None and timeout is None and deadline is None and not engine.limits.by_default:
            return await engine.run_task.run(task, args)
        return await run_tries(engine.run_task, task, args, retry, timeout, deadline)

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
        """Yields the result of ``task(ctx, resource, item)`` for each item, in the order of the inputs or, if not
        ``ordered``, as the tasks end.

        It is lazy: at most ``look_ahead`` inputs (default: 1,000) are read and submitted ahead of the results that were
        yielded, so the inputs may be endless; nothing is submitted before the first ``anext``. A result that is ready is
        yielded before the next input is waited for; asynchronous inputs are read by a task of their own. The options
        apply to each task, which waits for a slot if the queue is full.

        The iterator raises the error of a task, or of the inputs, in place of the result. Then, and when the iterator
        is closed, the tasks that were submitted ahead are cancelled. Raises ``ValueError`` or ``TypeError`` for a wrong
        argument.
        """
        look_ahead = check_look_ahead(look_ahead)
        if not isinstance(inputs, AsyncIterable):
            iter(inputs)  # raises TypeError here, and not at the first ``anext``

        async def submit(item: A) -> AsyncTaskFuture[Any]:
            return await self.submit_wait(task, item, **options)

        window: InOrder[Any] | AsCompleted[Any] = InOrder() if ordered else AsCompleted(self._running_engine)
        return results(submit, inputs, look_ahead, window, self._config.max_queue_size is not None)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _running_engine(self) -> AsyncEngine:
        if self._engine is None or _get_running_loop() is not self._loop:
            raise self._usage_error()
        return self._engine

    def _usage_error(self) -> RuntimeError:
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
        """Returns the failed future of a task that was not accepted, after calling its callback."""
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
