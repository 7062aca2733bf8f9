"""AsyncTaskManager: the public face of the asyncio engine."""

from __future__ import annotations

import asyncio
import math
import random
import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from threading import get_ident
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from .aio.backend_port import AsyncBackendPort
from .aio.cancellation import outlast
from .aio.engine import AsyncEngine
from .aio.other_threads import read_elsewhere
from .aio.pauses import pause, resume
from .aio.reentrancy import forbid_reentry
from .aio.refreshing import AsyncRefresh
from .aio.signals import stop_on_signals
from .aio.stack_room import check_room
from .aio.starting import Starting
from .aio.submitting import Submitting
from .aio.subscription import AsyncSubscription
from .config import Config
from .control.journal import ScalingExplanation
from .control.notices import ManagerEvent
from .control.supervisor import Supervisor
from .core.checks import check_timeout
from .core.planning import plan_of
from .core.report import explained, metrics_of, stats_of
from .core.signals import Received
from .core.worker_reports import PATIENCE, PATIENCE_OF_LOOPS, stack_of, workers_of
from .errors import ConfigError
from .metrics.protocol import TaskMetrics
from .options import Priority
from .stats import StopReport, TaskStats, WorkerStatus

if TYPE_CHECKING:
    from .live import LiveView

R = TypeVar("R")


class AsyncTaskManager(Submitting[R]):
    """Runs tasks over a pool of workers in one event loop, each of which owns a resource.

    A task is ``task(ctx, resource, *args)``: a coroutine function, or a plain function, which runs in a thread of its
    worker (``Config.sync_in_thread``). Use the manager as an async context manager: leaving the block stops it
    gracefully; leaving it by an exception, or being cancelled meanwhile, kills it. Or start it with
    ``manager = await AsyncTaskManager(config)``, and end it with ``await manager.stop()``. A manager that is collected
    without ``stop`` or ``kill`` is killed, with a ``ResourceWarning``.

    Not thread-safe: the methods that submit or end something are to be called in the event loop in which the manager
    was started; elsewhere they raise ``RuntimeError``. Before the start they raise ``ShutdownError``.

    The constructor raises ``ConfigError`` if ``config`` is not a ``Config``. The start makes the pool of ``run_task``
    (``Config.resource_pool_size``), and raises ``ResourceError`` if it cannot be made.
    """

    def __init__(self, config: Config[R]) -> None:
        if not isinstance(config, Config):
            raise ConfigError(f"AsyncTaskManager takes a Config, got {config!r}")
        self._config = config
        self._loop = None
        self._engine = None
        self._starting: Starting | None = None
        self._thread = 0

    async def _start(self) -> AsyncTaskManager[R]:
        # Awaiting a manager that was started returns it as it is.
        # The engine is known only once it has started: until then, no task is accepted that would have no outcome if the
        # start failed. If it fails, the next one that waits tries again.
        while self._engine is None:
            if self._starting is not None:
                await self._starting.until_over()
                continue
            engine = AsyncEngine(self._config, asyncio.get_running_loop(), _backend_of(self._config))
            self._starting = starting = Starting(engine)
            try:
                await starting.run()
                self._adopt(engine)
            finally:
                self._starting = None
                starting.over()
        return self

    def _adopt(self, engine: AsyncEngine) -> None:
        self._numbers = engine.counters.numbers.endless()
        self._normal = engine.queue.levels[Priority.NORMAL]
        self._idle = engine.queue.idle
        self._begin = engine.lending.begin
        self._thread, self._running = get_ident(), engine.loop.is_running
        self._loop, self._engine = engine.loop, engine

    def _engine_to_end(self, what: str) -> AsyncEngine:
        """Returns the engine for a stop or kill, which ends a start that is under way."""
        check_room()
        starting = self._starting
        if self._engine is None and starting is not None and starting.engine.loop is asyncio.get_running_loop():
            forbid_reentry(starting.engine, what)
            self._adopt(starting.engine)
            starting.end()
            return starting.engine
        engine = self._running_engine()
        forbid_reentry(engine, what)
        return engine

    def _engine_with_room(self) -> AsyncEngine:
        """Returns the engine for a call that is followed by actions. Raises ``RecursionError`` if the stack has no room for them."""
        check_room()
        return self._running_engine()

    # -- the end --------------------------------------------------------------------------------------------------

    async def stop(self, timeout: float | None = None, *, hand_back: bool = False) -> StopReport:
        """Stops gracefully: accepts no more tasks, runs all that were accepted, destroys the resources, and returns.

        If ``timeout`` seconds (None: no limit) pass before that, the stop becomes a ``kill``, and returns. A second
        call waits for the first. Cancelling the caller ends its waiting, not the stop. While another task of the loop
        still starts the manager, this ends the start, which raises ``ShutdownError``. Raises ``DeadlockError`` inside
        a task or callback of this manager, and ``ValueError`` for a wrong timeout.

        ``hand_back``: tasks that have not started are not run, nor are retries that wait. Each is in ``handed_back`` of the
        report, from where it can be submitted elsewhere, and its future ends with ``TaskHandedBack``, a cancellation, so that
        no wait for it is in vain. Tasks that run have the ``timeout`` to end. This ends a pause as any stop does.
        """
        check_timeout(timeout)
        engine = self._engine_to_end("stop")
        since = monotonic()
        timeout = None if timeout == math.inf else timeout
        engine.request_stop("stop() was called", timeout, hand_back)
        return await engine.wait_finished(since, timeout)

    async def kill(self, timeout: float | None = None) -> StopReport:
        """Kills: accepts no more tasks, ends the queued ones with ``TaskKilled``, cancels the running ones, waits up to
        ``timeout`` seconds (default: ``Config.cancel_grace``) for them, destroys the resources, and returns.

        A task that swallows its cancellation cannot be ended: callers that wait for it get ``TaskKilled``, and the
        worker is named in the report as abandoned; if the task returns later, its resource is destroyed then. A kill
        during a stop takes its place. Raises ``DeadlockError`` inside a task or callback of this manager, and
        ``ValueError`` for a wrong timeout.
        """
        check_timeout(timeout)
        engine = self._engine_to_end("kill")
        since = monotonic()
        limit = self._config.cancel_grace if timeout is None else timeout
        engine.request_kill("kill() was called", limit)
        return await engine.wait_finished(since, limit)

    def stop_on_signals(self, *signums: int) -> AbstractContextManager[Received]:
        """Returns a context manager in which the first SIGTERM or SIGINT (or one of ``signums``) begins a graceful
        stop, and the second one kills. Entering it returns the signals that were received.

        After a signal, ``submit`` raises ``ShutdownError``, and leaving the manager's own block waits for the end. The
        former handlers are restored at the end. Entering it raises ``ValueError`` in any thread but the main one.
        """
        return stop_on_signals(self._running_engine(), signums)

    async def pause(self, timeout: float | None = None) -> bool:
        """Lets no task start until ``resume``, for maintenance: running tasks go on, workers keep their resources. Waits up to
        ``timeout`` seconds (None: no limit; 0: does not wait) until no task runs any more; the pause lasts even if that takes
        longer, or if the caller is cancelled. Returns whether none runs: False if some may still, or if it was resumed or
        stopped meanwhile.

        Tasks are accepted and wait; the bound of the queue and ``queue_timeout`` hold as ever. ``run_task`` raises
        ``PausedError``, except in a task that still runs. The pool neither grows nor shrinks, and no task fails because of
        ``ready_timeout``. ``stop`` ends the pause, and so runs what was accepted; ``kill`` drops it. Pausing a paused manager
        changes nothing: one ``resume`` ends the pause.

        Raises ``ShutdownError`` if the manager was stopped or killed; ``DeadlockError`` inside a task or callback of this
        manager, unless ``timeout`` is 0; ``ValueError`` for a wrong timeout; ``RuntimeError`` in another event loop or thread.
        """
        check_timeout(timeout)
        engine = self._engine_with_room()
        if timeout != 0:
            forbid_reentry(engine, "pause")
        return await pause(engine, None if timeout == math.inf else timeout)

    def resume(self) -> None:
        """Ends a pause, and returns at once. Tasks start in the order of their priorities. Harmless if the manager is not
        paused, or was stopped. Raises ``RuntimeError`` in another event loop or thread."""
        resume(self._engine_with_room())

    def resize(self, *, worker_count: int | None = None, max_worker_count: int | None = None) -> None:
        """Changes the bounds of the number of workers, and returns at once. A bound that is not given stays as it is.
        Surplus workers end after their task.

        Raises ``ConfigError`` for a wrong value.
        """
        self._engine_with_room().resize(worker_count, max_worker_count)

    def refresh(self) -> Awaitable[bool]:
        """Replaces every resource by one that is made from now on, those of ``run_task`` included, and returns at once: for
        credentials that change, say.

        No task fails, waits or is interrupted for that: where ``max_worker_count`` leaves room, new workers are made first, and
        for each that is ready one with an outdated resource ends as soon as it has no task; where there is no room, one goes
        after the other, so that one worker is missing at most. As long as no resource can be made, the outdated ones serve on.

        What it returns may be awaited: that gives True once no outdated resource is left, and False if the manager ended first.
        Cancelling the caller ends its waiting, not the refresh. In a task of this manager, awaiting it raises
        ``DeadlockError``. Raises ``ShutdownError`` if the manager accepts no more tasks.
        """
        return AsyncRefresh(self._engine_with_room())

    async def __aenter__(self) -> AsyncTaskManager[R]:
        return await self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        engine = self._running_engine()
        # In a task of its own, which a cancellation of the caller does not reach.
        ending = asyncio.ensure_future(self.stop() if kind is None else self.kill())

        def kill(error: asyncio.CancelledError) -> None:
            # Nothing may outlive the block, so a caller that does not wait any longer gets the rest killed. A scope of
            # anyio's cancels its caller in each turn of the loop.
            if not engine.killed:
                engine.request_kill("leaving it was cancelled", self._config.cancel_grace)

        struck = await outlast(ending, kill)
        ending.result()
        try:
            if struck is not None:
                raise struck
        finally:
            del struck  # its traceback holds this frame

    def __await__(self) -> Generator[Any, None, AsyncTaskManager[R]]:
        return self._start().__await__()

    def __del__(self) -> None:
        # None if the constructor has raised.
        engine: AsyncEngine | None = getattr(self, "_engine", None)
        if engine is None or engine.closed or engine.loop.is_closed():
            return
        # A finalizer may run in any thread, and in the middle of a step of the engine.
        engine.loop.call_soon_threadsafe(
            engine.request_kill, "it was collected without stop()", engine.config.cancel_grace
        )
        warnings.warn(f"{self!r} was collected without stop() or kill()", ResourceWarning, stacklevel=1, source=self)

    # -- observing ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """``Config.name``."""
        return self._config.name

    @property
    def config(self) -> Config[R]:
        """The configuration that the manager was made with."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether the manager accepts no more tasks."""
        return self._engine is not None and self._engine.closed

    def stats(self) -> TaskStats:
        """Returns the numbers of workers, tasks and resources at this moment, consistent with each other; all zeros
        before the start. Costs O(workers). May be called from any thread."""
        engine = self._engine
        if engine is None:
            return TaskStats()
        if get_ident() == self._thread or not engine.loop.is_running():
            return stats_of(engine)
        return read_elsewhere(engine.loop, lambda: stats_of(engine))

    def metrics(self) -> TaskMetrics:
        """Returns the times, rates and totals of the tasks so far, or what ``Config.collector`` returns. Costs
        O(workers)."""
        return TaskMetrics() if self._engine is None else metrics_of(self._engine)

    def workers(self, *, arguments: bool = False) -> tuple[WorkerStatus, ...]:
        """Returns what each worker does at this moment, by slot; none before the start. ``arguments``: with a short ``repr`` of
        the arguments of its task. Costs O(workers). May be called from any thread."""
        return () if self._engine is None else workers_of(self._engine, arguments=arguments)

    def worker_stack(self, name: str) -> str:
        """Returns where the worker of that name is now, as the lines of a stack or in words; "" if that is not known. Raises
        ``LookupError`` if there is no such worker. May be called from any thread. A child process is asked, for up to a second, or
        50 ms in the thread of the loop; one that does not answer is named by its id."""
        patience = PATIENCE_OF_LOOPS if get_ident() == self._thread else PATIENCE
        stack = None if self._engine is None else stack_of(self._engine, name, patience)
        if stack is None:
            raise LookupError(f"manager {self._config.name!r} has no worker {name!r}")
        return stack

    def explain(self) -> ScalingExplanation:
        """Explains the present number of workers: returns the last decision of the scaling policy and the last 32
        changes, each with the figures that it was based on. ``str()`` of it is meant for people."""
        if self._engine is None:
            return explained(Supervisor(plan_of(self._config), random.Random(0), 0.0).view(), monotonic())
        engine = self._engine
        return explained(engine.view, engine.now(), engine.workers.values(), engine.quarantine.labels)

    def events(
        self,
        callback: Callable[[Any], Any] | None = None,
        *,
        kinds: type[ManagerEvent] | tuple[type[ManagerEvent], ...] | None = None,
        most: int = 1000,
    ) -> AsyncSubscription:
        """Subscribes to what happens from now on to the workers, to tasks that fail and to the manager: see ``tasker.events``.
        What it returns is an asynchronous iterator, which waits for each next event, and a context manager, which ends the
        subscription.

        ``callback(event)``: called with each event; then there is nothing to iterate over. A coroutine function is awaited in a
        task of the loop, any other function is called in a thread of its own. An error that it raises is logged and counted.
        ``kinds``: the classes of the events that are wanted, their subclasses included; None: all. ``StopEnded`` always comes.
        ``most``: how many events wait for a slow subscriber before the oldest ones are dropped, and counted in ``dropped``: a
        subscriber never slows the pool.

        The last event is ``StopEnded``; the subscription of a manager that has ended has no events. Raises ``TypeError`` or
        ``ValueError`` for a wrong argument, ``ShutdownError`` before the start, and ``RuntimeError`` in another event loop or
        thread.
        """
        return AsyncSubscription(self._running_engine(), callback, ManagerEvent if kinds is None else kinds, most)

    def live(self, *, file: TextIO | None = None, interval: float | None = None, arguments: bool = False) -> LiveView:
        """As ``TaskManager.live``; what it returns is a plain and an asynchronous context manager. The plain one waits for the end of
        the view in the loop, if it is left there. May be called before the start, and from any thread."""
        from .live import live  # noqa: PLC0415  what it needs comes with an extra

        return live(self, file=file, interval=interval, arguments=arguments)

    def __repr__(self) -> str:
        phase = "not started" if self._engine is None else self._engine.view.phase.value
        return f"<AsyncTaskManager {self._config.name!r} {phase}>"


def _backend_of(config: Config[Any]) -> Callable[[AsyncEngine], AsyncBackendPort] | None:
    if config.backend is None:
        return None
    from .remote.aio_backend import AsyncBackend  # noqa: PLC0415  what it needs comes with an extra

    return AsyncBackend
