"""InlineTaskManager: stands in for a ``TaskManager`` and runs its tasks in the calling thread, when the test says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar, TypeVarTuple

from tasker.config import Config
from tasker.context import Context
from tasker.control.events import TaskWaits, Wakeup
from tasker.control.journal import ScalingExplanation
from tasker.control.lifecycle import Phase
from tasker.control.notices import ManagerEvent
from tasker.control.retries import RetryPolicy
from tasker.core.checks import check_rare, check_timeout
from tasker.core.signals import Received
from tasker.core.user_functions import forbid_async
from tasker.errors import ConfigError, DeadlockError, ShutdownError
from tasker.manager import TaskManager
from tasker.options import Priority
from tasker.stats import StopReport, TaskStats
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import Ending, OutcomeCallback
from tasker.threads.pauses import request_pause
from tasker.threads.reentrancy import forbid_reentry
from tasker.threads.tries import run_tries

from .clock import ManualClock
from .inline_engine import InlineEngine
from .inline_future import InlineFuture, InlineRefreshFuture
from .inline_subscription import InlineSubscription

R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class InlineTaskManager(TaskManager[R]):
    """Runs tasks one at a time in the calling thread, in an order that is the same each time, without threads or sleep.

    A submitted task waits until the test calls ``run_next`` or ``run_all``, or something waits for a result:
    ``result()`` of a future, ``queue_task``, ``map``, ``stop`` and whatever waits for futures run the queued tasks in
    their order until they have what they wait for. Retries, health, priorities, ``once``, the bounded queue, statistics,
    stop and kill are decided by the code that decides for a ``TaskManager``, and resources are made, replaced and
    destroyed by the functions of ``config``. A worker makes its resource when it gets its first task.

    ``clock``: the time of the manager, of the deadlines and the ``wait`` of contexts, and of all timeouts; None: one of
    its own. A task with a time limit is late if the clock has moved too far when it returns. Pauses between failed
    creations pass at once on it. ``order(futures)``: chooses which of the queued tasks is next, in place of priority
    and order of submission: ``random.Random(7).choice``, say. None: the order of a ``TaskManager``.

    It is no measure of what needs two things at a time: it shows no races, no blocking and no scaling. ``config.backend``
    is ignored, and so is ``destroy_timeout``. A creation or a check that has moved the clock by more than its limit has failed.
    What is due because the clock was moved, such as checks at an interval and the end of ``idle_timeout``, is done with the next
    call of a method, ``stats`` and ``explain`` included.

    Not thread-safe: it belongs to one thread. Raises as ``TaskManager`` does, and ``TypeError`` if ``clock`` or ``order``
    is of a wrong type.
    """

    _engine: InlineEngine  # type: ignore[assignment]

    def __init__(
        self,
        config: Config[R],
        *,
        clock: ManualClock | None = None,
        order: Callable[[Sequence[TaskFuture[Any]]], TaskFuture[Any]] | None = None,
    ) -> None:
        if not isinstance(config, Config):
            raise ConfigError(f"InlineTaskManager takes a Config, got {config!r}")
        if clock is not None and not isinstance(clock, ManualClock):
            raise TypeError(f"clock must be a ManualClock or None, got {clock!r}")
        if order is not None and not callable(order):
            raise TypeError(f"order must be callable or None, got {order!r}")
        forbid_async(config)
        engine = InlineEngine(config, clock or ManualClock(), order)
        engine.start()
        self._engine = engine
        self._config = config

    # -- the order of things --------------------------------------------------------------------------------------

    @property
    def clock(self) -> ManualClock:
        """The time of this manager."""
        return self._engine.clock

    @property
    def pending(self) -> tuple[TaskFuture[Any], ...]:
        """The tasks that wait to be started (again), most urgent first."""
        self._engine.pump()
        return tuple(self._engine.pending())

    def run_next(self, which: int | TaskFuture[Any] | None = None) -> TaskFuture[Any] | None:
        """Runs one attempt of one task, and returns its future; None if no task waits. What the task raises is in the
        future.

        ``which``: an index into ``pending``, or one of its futures; None: the next one.

        Raises ``IndexError`` or ``ValueError`` if there is no such task; ``DeadlockError`` in a task of this manager, if
        no worker is left to run it; ``ResourceError`` if ``on_create`` has failed 100 times in a row.
        """
        chosen: TaskFuture[Any] | None = None
        if isinstance(which, int):
            chosen = self.pending[which]
        elif which is not None:
            if not any(which is one for one in self.pending):
                raise ValueError(f"{which!r} does not wait to be started")
            chosen = which
        return self._engine.run_next(chosen)

    def run_all(self, *, limit: int = 100_000) -> int:
        """Runs tasks until none waits, those that tasks submit and retries included. Returns the number of attempts.

        Raises ``RuntimeError`` if tasks still wait after ``limit`` attempts, and what ``run_next`` raises.
        """
        for attempts in range(limit):
            if self._engine.run_next() is None:
                return attempts
        if self.pending:
            raise RuntimeError(f"{len(self.pending)} tasks still wait after {limit} attempts")
        return limit

    # -- tasks ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        priority: Priority = Priority.NORMAL,
        once: bool = False,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        callback: Callable[[T | None, BaseException | None], object] | None = None,
        block: bool = True,
        queue_timeout: float | None = None,
    ) -> InlineFuture[T]:
        """Queues ``task(ctx, resource, *args)`` and returns its future; see ``TaskManager.submit``.

        In a full queue it runs tasks until there is room, or raises ``QueueFull`` at once if not ``block``.
        """
        engine = self._engine
        level = engine.level(priority)
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        check_rare(callback, retry)
        slot = engine.slot_wait()
        try:
            engine.admit(slot, block, queue_timeout)
        except ShutdownError as error:
            if callback is None:
                raise
            refused: InlineFuture[T] = InlineFuture._accepted(engine, 0, task, (), engine.clock.now())
            refused._log = [OutcomeCallback(callback)]
            refused._end(Ending(error, forced=True))
            return refused
        number = engine.counters.numbers.more()
        future: InlineFuture[T] = InlineFuture._accepted(engine, number, task, args, engine.clock.now())
        future._once = once
        future._retry = retry
        future._holds_slot = slot is not None
        try:
            engine.limit(future, timeout, deadline)
        except BaseException:
            engine.unsubmitted(number, slot)
            raise
        if callback is not None:
            future._append(OutcomeCallback(callback))
        level.append(future)
        engine.queue.tokens.put(None)
        if not engine.view.target:
            engine.report(TaskWaits())
        if engine.view.in_vain is not None:
            engine.report(Wakeup())
        return future

    def run_task(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> T:
        """Runs the task at once, past the queue; see ``TaskManager.run_task``. Pauses between two attempts move the clock."""
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        engine = self._engine
        engine.pump()
        try:
            return run_tries(engine, task, args, retry, timeout, deadline)  # type: ignore[no-any-return]
        finally:
            engine.pump()

    # -- the rest -------------------------------------------------------------------------------------------------

    def stats(self) -> TaskStats:
        """Returns the numbers of workers, tasks and resources, once what is due by now has been done; see ``TaskManager.stats``."""
        self._engine.pump()
        return super().stats()

    def explain(self) -> ScalingExplanation:
        """Says why there are as many workers as there are, once what is due by now has been done; see ``TaskManager.explain``."""
        self._engine.pump()
        return super().explain()

    def stop(self, timeout: float | None = None, *, hand_back: bool = False) -> StopReport:
        """Stops gracefully: accepts no more tasks, runs all that were accepted, destroys the resources, and returns; see
        ``TaskManager.stop``. ``timeout``: seconds of the clock. In a call that the clock makes while a task runs
        (``ManualClock.call_later``), it only begins the stop."""
        return super().stop(timeout, hand_back=hand_back)

    def kill(self, timeout: float | None = None) -> StopReport:
        """Kills: accepts no more tasks, ends the queued ones with ``TaskKilled``, destroys the resources, and returns;
        see ``TaskManager.kill``. ``timeout`` has no effect: no task can be running, except in a call that the clock makes
        while one runs (``ManualClock.call_later``); then it begins the kill, and cancels the context of the task."""
        return super().kill(timeout)

    def _end(self, what: str, timeout: float | None, hand_back: bool = False) -> StopReport:
        try:
            forbid_reentry(self._engine, what)
        except DeadlockError:
            if not self.clock.calling:
                raise
            return self._engine.begin_end(what == "kill", f"{what}() was called", hand_back)
        return self._engine.end(what == "kill", f"{what}() was called", timeout, hand_back)

    def pause(self, timeout: float | None = None) -> bool:
        """Lets no task start until ``resume``; see ``TaskManager.pause``. Meanwhile ``run_next`` returns None, and whatever waits
        for a task raises ``DeadlockError``. ``timeout``: 0 in a task or a call of the clock; elsewhere nothing runs that it could
        wait for."""
        check_timeout(timeout)
        if timeout != 0:
            forbid_reentry(self._engine, "pause")
        request_pause(self._engine)
        self._engine.pump()
        return self._engine.view.phase is Phase.PAUSED

    def resume(self) -> None:
        """Ends a pause; see ``TaskManager.resume``."""
        super().resume()
        self._engine.pump()

    def stop_on_signals(self, *signums: int) -> AbstractContextManager[Received]:
        """Returns a context manager that does nothing: no signal is caught. Entering it returns no signals."""
        return contextlib.nullcontext(Received())

    def resize(self, *, worker_count: int | None = None, max_worker_count: int | None = None) -> None:
        """Changes the bounds of the number of workers; see ``TaskManager.resize``. They matter where tasks wait for
        each other: each one that waits occupies a worker."""
        super().resize(worker_count=worker_count, max_worker_count=max_worker_count)
        self._engine.pump()

    def refresh(self) -> Future[bool]:
        """Replaces every resource by one that is made from now on, at once; see ``TaskManager.refresh``. A worker that has no
        resource yet makes it with its first task, as ever. Waiting for the future runs queued tasks."""
        future = InlineRefreshFuture(self._engine)
        self._engine.pump()
        return future

    def events(
        self,
        callback: Callable[[Any], object] | None = None,
        *,
        kinds: type[ManagerEvent] | tuple[type[ManagerEvent], ...] | None = None,
        most: int = 1000,
    ) -> InlineSubscription:
        """Subscribes to what happens from now on; see ``TaskManager.events``. ``callback`` is called in the calling thread, when
        what has caused the event is done. Without one, an iteration yields the events that have come, and never waits."""
        return InlineSubscription(self._engine, callback, ManagerEvent if kinds is None else kinds, most)

    def __enter__(self) -> InlineTaskManager[R]:
        return self

    def __repr__(self) -> str:
        return f"<InlineTaskManager {self._config.name!r} {self._engine.view.phase.value}, {len(self.pending)} pending>"
