"""Lending: a caller that waits for its task makes the first step of it, in place of an idle worker.

Most tasks of a caller that waits for each of them find the queue empty and a worker idle. To wake that worker, and to be woken
by it, are two switches between tasks of the loop, which cost more than all the rest. So ``queue_task`` lends its turn: it
resumes the ``TaskRunner`` of the idle worker itself, as that worker would do. The runner keeps the books as always. Where the
task ends in this step, the worker has never been awake. Otherwise what the runner has yielded is *handed over*: the worker is
woken, and goes on from there as if it had made the step.

Rules:

- Nothing overtakes: a task is begun here only if none is queued, and no worker has an order.
- In that step, the worker's task of the loop is the current one. A scope that the task enters there (``asyncio.timeout``, a
  ``TaskGroup``, one of anyio's) binds to the task of the loop that goes on with it, and never to the caller's.
- All callers together do this for half a slice in one turn of the loop (see ``TurnBudget``). After that they wait as ever,
  so nobody holds the loop who only awaits.
- The task finds room on the stack: a caller deep down in its calls queues, and so does a task that was begun by a caller that
  was begun by a caller, and so on.

A worker that sees to its resource between two tasks is not lent: what it does there waits.

Rejected: to go on with the task in the caller's own task of the loop. The cancellation of one is not that of the other.
"""

from __future__ import annotations

import asyncio
import math
import sys
from asyncio import Task
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol, cast

from tasker.errors import WorkerLost
from tasker.options import Priority

from .cancellation import is_struck, restore
from .current import checker_of, current_task, swap_current_task
from .future import QUEUED, AsyncTaskFuture, LoopOwner
from .queue import AsyncTaskQueue
from .slow_callbacks import SlowCallbacks
from .stack_room import is_shallow
from .turns import TurnBudget
from .user_functions import CO_COROUTINE
from .worker_loop import PAUSE, SWITCH, RunnerRequest, TaskRunner

_MOST_SKIPPED = 256
_MOST_KNOWN = 1000
_UNCANCEL_IS_FULL = sys.version_info >= (3, 13)
"""Whether a task that has taken back its last cancellation before the error was thrown gets no error."""


class LendingEngine(LoopOwner, Protocol):
    """The part of the engine that lending uses."""

    @property
    def door(self) -> int: ...
    @property
    def must_admit(self) -> bool:
        """Whether ``submit`` has more to do than to queue a task."""
        ...

    @property
    def queue(self) -> AsyncTaskQueue: ...
    @property
    def turns(self) -> TurnBudget: ...
    @property
    def slow_callbacks(self) -> SlowCallbacks: ...


class LentWorker(Protocol):
    """The part of a worker that lending uses."""

    idle: asyncio.Future[None] | None
    handed: Handed | None
    interruptible: bool

    @property
    def runner(self) -> TaskRunner | None: ...
    @property
    def name(self) -> str: ...
    @property
    def shard(self) -> Any: ...
    @property
    def task(self) -> asyncio.Task[None]: ...


class Handed:
    """What a runner has yielded, or raised, to a caller: for its worker, which goes on from there."""

    __slots__ = ("_error", "_marked", "_outcome", "suspended", "waited")

    def __init__(self, outcome: Any, error: BaseException | None) -> None:
        self._outcome = outcome
        self._error = error
        self.suspended: bool = error is None and type(outcome) is not RunnerRequest
        """Whether the task has made its first step, and has not ended."""
        self.waited: Any = None
        """The future that the task waits for, if any."""
        # An ``await`` marks the future, and the loop's task takes the mark off when it gets the future. Until then other tasks
        # may wait for the same future, and take off this mark for theirs. So it is taken off here, and put on again later.
        self._marked: bool = False
        # What is nothing of asyncio's may raise anything; the loop's task will see.
        with suppress(Exception):
            if self.suspended and asyncio.isfuture(outcome):
                self.waited, self._marked = outcome, bool(outcome._asyncio_future_blocking)
                outcome._asyncio_future_blocking = False

    def take(self) -> Any:
        """Returns what was yielded; to be passed to the loop at once. Raises what was raised."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        if self._marked:
            self.waited._asyncio_future_blocking = True
        return self._outcome


def postpone(task: asyncio.Task[Any], error: asyncio.CancelledError) -> None:
    """Has the current task, ``task``, cancelled at its next ``await``, as if that had been the first one since it was
    cancelled."""
    requests = task.cancelling()
    if not requests and _UNCANCEL_IS_FULL:
        return
    restore(error)
    if not requests:  # taken back, and thrown all the same
        task.uncancel()


class Habits:
    """Knows which functions go on after their first step. To begin their tasks is in vain, and costs a quarter of a task.

    After a task that has gone on, its caller does not begin the next one of that function; after another one that has gone on,
    not the next two, then four, up to 256. After one that has ended, each of them is begun again.
    """

    __slots__ = ("_steps", "left")

    def __init__(self) -> None:
        # By ``id``, since the hash of code is that of all it consists of. If other code gets that number later, its first tasks
        # are not begun where they might be, and nothing else.
        self.left: dict[int, int] = {}
        """How many more tasks of a function are not to be begun, by the ``id`` of its code. Counted down by ``Lending``."""
        self._steps: dict[int, int] = {}
        """How many it were to be in all."""

    def note(self, code: int, ended: bool) -> None:
        """A task has ended in its first step, or has gone on after it."""
        if not ended:
            self._went_on(code)
        elif self._steps.pop(code, 0):
            self.left.pop(code, None)

    def _went_on(self, code: int) -> None:
        if len(self._steps) >= _MOST_KNOWN:  # code that is made anew for each task
            self._steps.clear()
            self.left.clear()
        self.left[code] = self._steps[code] = min(2 * self._steps.get(code, 0) or 1, _MOST_SKIPPED)


class Lending:
    """Makes the first steps of tasks for the callers of one manager. Used in the loop's thread."""

    def __init__(self, engine: LendingEngine, numbers: Iterator[int]) -> None:
        self._engine = engine
        self._numbers = numbers
        self._idle: deque[asyncio.Future[None]] = engine.queue.idle
        self.offers: dict[asyncio.Future[None], LentWorker] = {}
        """The idle workers that may be lent, by what each waits for."""
        self.kept_out: set[Task[Any] | None] = set()
        """The tasks of the loop in which hooks run that must not wait for tasks of this manager."""
        self._habits = Habits()
        self._is_here = checker_of(engine.loop)

    def begin(self, task: Callable[..., Any], args: tuple[Any, ...]) -> AsyncTaskFuture[Any] | None:
        """Accepts a task without options and makes its first step, where the rules of the module allow that. Returns None where
        they do not: then nothing has happened."""
        try:
            code: Any = task.__code__
            if not code.co_flags & CO_COROUTINE:
                return None  # it may run in a thread
        except Exception:  # no function, and so it may be anything
            return None
        skipped = self._habits.left
        if skipped and (left := skipped.get(number := id(code))):
            skipped[number] = left - 1
            return None
        engine = self._engine
        if engine.must_admit or self._has_work() or not self._is_here():
            return None
        waiter: Any = self._idle[0] if self._idle else None
        worker = self.offers.get(waiter)
        caller: Any = current_task(engine.loop)
        if worker is None or waiter.done() or not self._may_begin(caller):
            return None
        now = engine.turns.clock()
        if now >= (engine.turns.lent_until or engine.turns.lend(now)):
            return None
        level = engine.queue.levels[Priority.NORMAL]
        future = self._accepted(task, args, now)
        try:
            level.append(future)
            self._idle.popleft()
            worker.idle = None
            self._habits.note(id(code), self._step(worker, waiter, future, caller))
            return future
        except BaseException as error:  # Ctrl-C: nobody else would wake the worker
            self._wake_struck(worker, waiter, future, error)
            raise

    def _wake_struck(
        self, worker: LentWorker, waiter: asyncio.Future[None], future: AsyncTaskFuture[Any], error: BaseException
    ) -> None:
        if worker.handed is None and worker.shard.future is future:
            lost = WorkerLost("its first step was interrupted")
            lost.__cause__ = error  # which the caller gets
            worker.handed = Handed(None, lost)
        self._engine.queue.forget(waiter)
        _wake(waiter)

    def _may_begin(self, caller: Task[Any] | None) -> bool:
        """Returns whether this task of the loop, which is the current one, may begin tasks."""
        # One whose cancellation is still to be raised begins nothing.
        return type(caller) is Task and not is_struck(caller) and caller not in self.kept_out and is_shallow()

    def _has_work(self) -> bool:
        """Returns whether a worker that has no task would not be idle."""
        queue = self._engine.queue
        high, normal, low = queue.levels
        return bool(high or normal or low or queue.orders or self._engine.door)

    def _accepted(self, task: Callable[..., Any], args: tuple[Any, ...], now: float) -> AsyncTaskFuture[Any]:
        # As ``submit`` does it.
        future: AsyncTaskFuture[Any] = AsyncTaskFuture()
        future._engine = self._engine
        future._task = task
        future._held = args
        future._variables = copy_context() or None
        future._stage = QUEUED
        future._asyncio_future_blocking = False
        future._extra = None
        future._queued_at = now
        for future.id in self._numbers:
            break
        return future

    def _step(
        self, worker: LentWorker, waiter: asyncio.Future[None], future: AsyncTaskFuture[Any], caller: Task[Any]
    ) -> bool:
        """Has the runner of an idle worker take the task from the queue, and makes its first step. Returns whether the task has
        ended by its result."""
        loop, runner = self._engine.loop, cast("TaskRunner", worker.runner)
        step, error, outcome = runner.generator.__next__, None, None
        runner.until = -math.inf  # it takes no other task after this one, but pauses
        try:
            swap_current_task(loop, worker.task)  # in here: Ctrl-C may strike as soon as it returns
            outcome = step()
            if outcome is SWITCH:
                outcome = runner.variables.run(step)
        except BaseException as raised:  # not an error of the task: no memory, Ctrl-C, or a fault of the library
            error = raised
        finally:
            swap_current_task(loop, caller)
        if outcome is PAUSE and not (self._has_work() or waiter.done()):
            # It was never awake. The runner, although it waits for the end of a pause, will look for a task first.
            worker.shard.flush()
            worker.idle = waiter
            self._idle.append(waiter)
            return True
        if outcome is not PAUSE:
            worker.handed = handed = Handed(outcome, error)
            # Until the worker comes to it, a cancellation counts as one that strikes the task where it waits.
            worker.interruptible = handed.suspended
            del error  # its traceback holds this frame
        if not waiter.done():  # as ``_wake``, without a call for each task
            waiter.set_result(None)
        if worker.interruptible:
            self._engine.slow_callbacks.check(future._started_at, worker.name, future.id, future._task)
        return outcome is PAUSE


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
