"""The part of the engine that owns futures: it ends tasks that no worker ends, and carries out the supervisor's
decisions about tasks.

An ending here may compete with ``cancel``, with ``kill`` and with a worker. Each is an append to the future's log, so a
method that finds another ending before its own leaves the task alone (see ``future_log``).
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from tasker.attempt import HandedBack, Quarantined
from tasker.config import Config
from tasker.context import Context, nothing_due
from tasker.control import events as ev
from tasker.control.attempts import Verdict
from tasker.control.lifecycle import DoorMove
from tasker.core.checks import check_queue_timeout
from tasker.core.engine import EngineCore
from tasker.core.history import after, forget_frames
from tasker.core.inline_tries import InlineTries
from tasker.core.limited_calls import LimitedCall, given
from tasker.core.limited_task import limits_of
from tasker.errors import TaskHandedBack, TaskKilled, TaskTimeout
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.options import Priority

from .callback_runner import callback_runner
from .future import TaskFuture
from .future_log import Callback, Ending, OnSuccess, Waiter
from .helpers import HelperThreads, seconds_until
from .hold import TaskHold
from .queue import HOLD, TaskQueue
from .queue_slots import QueueSlots, SlotWait
from .renewals import Renewals
from .this_thread import this_thread
from .waits import WaitRegistry
from .worker import Worker

_LONGEST_END = 0.3
"""Seconds for all workers to notice that their sessions were killed; who has asked for the kill waits a little longer."""


class FutureOwner(EngineCore[Worker], abc.ABC):
    """Implements ``future_log.Owner``, and the methods of ``driver.Driver`` that concern tasks."""

    _helpers: HelperThreads

    def __init__(self, config: Config[Any]) -> None:
        super().__init__(config)
        self.queue: TaskQueue = TaskQueue(config.most_workers)
        self.queue_slots: QueueSlots | None = None
        if config.max_queue_size is not None:
            self.queue_slots = QueueSlots(config.max_queue_size)
        self.waits: WaitRegistry = WaitRegistry(self)
        self.empties: bool = False
        """Whether the queue is being emptied, as a kill does too: without a search for each task."""
        self.hold: TaskHold = TaskHold(self.check_drained)
        self.renewals: Renewals = Renewals(self.queue, self.hold)

    @property
    def urgent_tasks(self) -> int:
        """See ``ReportPort``."""
        return self.queue.count(Priority.HIGH)

    @property
    def levels(self) -> Sequence[Sequence[Any]]:
        """See ``EngineCore``."""
        return self.queue.levels

    def attend(self) -> None:
        """See ``ThreadEngineForWorkers``."""
        self.alert = True

    def look_after_renewals(self) -> None:
        """Reminds workers that were called, or, where none is left, lets the others look after nothing any more. For the
        supervisor's thread, now and then."""
        if self.renewals:
            self.renewals.remind()
        else:
            with self.counters.lock:  # under which the door moves
                self.alert: bool = self.closed

    @abc.abstractmethod
    def soon(self, call: Callable[[], None]) -> None:
        """See ``Driver``."""

    # -- for submit -----------------------------------------------------------------------------------------------

    def level(self, priority: object) -> deque[TaskFuture[Any]]:
        """Returns the level of the queue for tasks of this priority. Raises ``ValueError`` if it is not a priority."""
        if isinstance(priority, int) and not isinstance(priority, bool) and int(priority) in list(Priority):
            return self.queue.levels[priority]
        raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}")

    def slot_wait(self) -> SlotWait | None:
        """Returns the object that records the slot of one ``submit``, or None if the queue is not bounded."""
        return None if self.queue_slots is None else SlotWait()

    def admit(self, slot: SlotWait | None, block: bool, timeout: float | None) -> None:
        """Acquires what ``submit`` needs before it may queue a task. Raises ``ShutdownError`` if the door is closed,
        and ``QueueFull`` if there is no slot, at once or within ``timeout`` seconds."""
        if self.closed:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is not None:
            self.queue_slots.acquire(block, timeout, self.waits.enter, self.waits.leave, slot)
            if self.refusal:  # the door was closed during the wait
                raise self.shutdown_error()
        if self.collector is not None:
            self.hooks.arrival()

    def unsubmitted(self, number: int, slot: SlotWait | None) -> None:
        """Takes back the number and the slot, if any, of a ``submit`` that failed or was interrupted."""
        # Not whether ``acquire`` has returned, but what the slot says: an interrupt may have come in between.
        if slot is not None and slot.served and self.queue_slots is not None:
            self.queue_slots.release()
        if number > 0:
            self.counters.note("refused")
            # A stop counts this number as an outstanding task; it may be the last one.
            self.check_drained()

    def take_back(self, future: TaskFuture[Any]) -> None:
        """The task is in its level, and there was no memory for its token. Takes it out, unless a worker has begun it."""
        if self.queue.remove(future):
            self.release_slot(future)
            self.unsubmitted(future.id, None)

    def follow_up(self, future: TaskFuture[Any], priority: int) -> bool:
        """Completes a ``submit`` that has queued its task. Returns True if the door was closed meanwhile and the task
        was taken back: it is not accepted."""
        if self.backend is not None and priority != Priority.NORMAL:
            self.backend.overtake(priority)
        # In this order, too: a ``submit`` that queues its task behind the look of ``fail_queued`` at the queue finds the view
        # that goes before that look.
        if self.view.in_vain is not None:
            self.report(ev.Wakeup())
        if not self.view.target:
            self.report(ev.TaskWaits())
        # No task is lost between the two: ``submit`` queues its task and *then* looks at the door; ``close`` closes the
        # door and *then* checks whether anything is outstanding. A submitter that finds the door closed takes its task
        # back. That appends an ending to the log, so if a worker has started the task before, the worker wins.
        return self.closed and future._end(Ending(self.shutdown_error(), refused=True))

    # -- time limits ----------------------------------------------------------------------------------------------

    def limit(self, future: TaskFuture[Any], timeout: float | None, deadline: float | None) -> None:
        """Gives a task that is not queued yet its limits. Raises ``TypeError`` or ``ValueError`` for wrong ones."""
        future._limited = limited = self.limits.of_submission(future, timeout, deadline)
        if limited is not None and self.backend is None:
            assert future._task is not None
            future._task = LimitedCall(self.limits, limited, future._task)

    def keep_deadline(self, future: TaskFuture[Any]) -> None:
        """Has a task end at its deadline, if it has one, now that it is queued."""
        if future._limited is not None:
            self.limits.keep_deadline(future._limited)

    def limited_inline(self, tries: InlineTries) -> Callable[..., Any]:
        """See ``ThreadEngineForRunTask``."""
        limited = tries.limited if self.backend is None else None
        return tries.task if limited is None else LimitedCall(self.limits, limited, tries.task)

    def pause_caller(self, tries: InlineTries) -> None:
        """See ``ThreadEngineForRunTask``."""
        self.queue.cooling.pause(tries.until, lambda: tries.hurried)

    def wake_up(self) -> None:
        """See ``LimitsDriver``."""
        self.report(ev.Wakeup())

    def expire(self, task: TaskFuture[Any], error: TaskTimeout) -> None:
        """See ``LimitsDriver``."""
        if self.backend is not None:  # back in the queue, if it was sent ahead
            self.backend.recall(task)
        task._end(Ending(error))

    def cancel_attempt(self, task: TaskFuture[Any], context: Context, error: TaskTimeout) -> None:
        """See ``LimitsDriver``."""
        due = context._strike(error)
        if due is not nothing_due:
            self._helpers.cancel(due)

    def end_overdue(self, task: TaskFuture[Any], error: TaskTimeout) -> None:
        """See ``EngineCore``."""
        task._end(Ending(error, forced=True))

    # -- future_log.Owner -----------------------------------------------------------------------------------------

    def ended_in_queue(self, future: TaskFuture[Any], ending: Ending) -> None:
        """See ``Owner``."""
        # ``cancel`` may come from a signal handler or a finalizer, so nothing here takes a lock that is not reentrant.
        counters, names = self.counters, ["ended_in_queue"]
        if ending.refused:
            names = ["refused"]
        elif ending.cancelled:
            names.append("cancelled_in_queue")
        elif issubclass(type(ending.error), TaskTimeout):
            names.append("timed_out_in_queue")
        note = (tuple(names),)
        try:
            # As ``note``, but with no call between the two: the thread that claims the ending counts it.
            del ending.uncounted
            counters.notes += note
        except AttributeError:  # claimed by another thread, or before this one was interrupted
            pass
        else:
            if "ended_in_queue" in names and not ending.cancelled:
                self._failed_in_queue(future, ending.error)
        self.release_slot(future)

    def left_queue(self, future: TaskFuture[Any]) -> None:
        """See ``Owner``."""
        # A kill empties the queue itself, without a search for each task.
        rest = None if self.killed or self.empties else self.queue.discard(future)
        if rest is not None:
            self.soon(rest)
        # Only a manager that ends waits for the last task.
        if self.door:
            self.check_drained()

    def recall(self, future: TaskFuture[Any]) -> None:
        """See ``Owner``."""
        if self.backend is not None:
            self.backend.recall(future)

    def callback_fault(self, future: TaskFuture[Any], error: BaseException) -> None:
        """See ``Owner``."""
        self.log.fault(f"callback of {future.label}", error)

    def enter_wait(self, future: TaskFuture[Any], waiter: Waiter) -> object:
        """See ``Owner``."""
        # Most waits are in other threads; a forked child, in which they would never end, has its door closed.
        return self.waits.enter_future(future, waiter) if self.door or this_thread.worker is not None else None

    def callback(self, future: TaskFuture[Any], fn: Callable[[Any], object]) -> Callback:
        """See ``Owner``."""
        return self.waits.callback(future, fn)

    def leave_wait(self, ticket: object) -> None:
        """See ``Owner``."""
        self.waits.leave(ticket)

    def release_slot(self, future: TaskFuture[Any]) -> None:
        """Releases the slot of a task that no longer waits to be started."""
        if self.queue_slots is not None and future._holds_slot:
            self.queue_slots.release_of(future)

    # -- tasks that an attempt has left behind --------------------------------------------------------------------

    def claim(self, task: TaskFuture[Any]) -> BaseException | None:
        """See ``Driver``. Atomic: only one of two threads gets the error."""
        return task._take_failure()

    def remember(self, task: TaskFuture[Any], error: BaseException, verdict: Verdict) -> None:
        """See ``Driver``."""
        task._history = after(task._history, task, error, verdict)

    def on_success(self, task: TaskFuture[Any], call: Callable[[], None]) -> None:
        """See ``EngineCore``."""
        task._watch(OnSuccess(call))

    def returned(self, task: TaskFuture[Any]) -> bool:
        """See ``Driver``."""
        # Both under the lock: a reader of the counters must see the task either as running or as queued.
        with self.counters.lock:
            must_not_run = task._goes_back()
            self.counters.sent_back += 1
        return not must_not_run

    def enqueue(self, task: TaskFuture[Any], priority: Priority) -> None:
        """See ``Driver``."""
        self.queue.put(task, priority)
        if self.backend is not None:
            self.backend.overtake(priority)

    def fail_returned(self, task: TaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        # Counted before the outcome is visible: a caller that has the error also finds it in ``stats()``.
        timed_out = ("timed_out_in_queue",) if issubclass(type(error), TaskTimeout) else ()
        self.counters.note("sent_back", "ended_in_queue", *timed_out)
        self._failed_in_queue(task, error)
        # Forced: the log has no BACK for the failed attempt, so any other ending would not count.
        self._conclude(task, Ending(error, forced=True))

    def call_of(self, task: TaskFuture[Any]) -> tuple[Any, tuple[Any, ...]]:
        """See ``Driver``."""
        return given(task._task), task._args or ()

    def quarantined(self, task: TaskFuture[Any], info: Quarantined) -> None:
        """See ``Driver``. Called where callbacks are."""
        if self.config.on_quarantine is not None:
            callback_runner.call(task, [Callback(lambda _: self.hooks.quarantined(info))])

    def drop_returned(self, task: TaskFuture[Any]) -> None:
        """See ``Driver``. Called by the supervisor's thread, or by a worker that has outlived it."""
        failure = task._take_failure()
        if failure is not None:
            self.remember(task, failure, Verdict.KILLED)
            forget_frames(failure)
            self.shutdown_counts.add_killed()
            self.counters.note("sent_back", "ended_in_queue", "cancelled_in_queue")
            error = TaskKilled(f"{task.label} was killed before its next attempt: {self.refusal}")
            self._conclude(task, Ending(error, cancelled=True, forced=True))

    def _conclude(self, task: TaskFuture[Any], ending: Ending) -> None:
        # If a kill has set an outcome before, that one stays; either way the task is not outstanding any more.
        task._end(ending)
        if self.door:
            self.check_drained()

    def _failed_in_queue(self, task: TaskFuture[Any], error: BaseException) -> None:
        now = task._finished_at = monotonic()
        started = getattr(task, "_started_at", now)
        self.hooks.failure(TaskLifecycleTimestamps(task._queued_at, started, now), task, error)

    # -- handing back ---------------------------------------------------------------------------------------------

    def take_unstarted(self, most: int) -> Sequence[tuple[TaskFuture[Any], int]]:
        """See ``Driver``."""
        self.empties = True
        return self.queue.take_unstarted(most)

    def hand_back(self, task: TaskFuture[Any], priority: Priority) -> None:
        """See ``Driver``."""
        fn, args = given(task._task), task._args  # before the end, which drops them
        error = TaskHandedBack(f"{task.label} was handed back before it started: {self.refusal}")
        if task._end(Ending(error, cancelled=True)) and fn is not None and args is not None:
            limits = limits_of(task._limited)
            back = HandedBack(fn, args, priority, task.attempts, task, task._once, task._retry, *limits)
            self.shutdown_counts.handed_back.append(back)

    # -- pauses ---------------------------------------------------------------------------------------------------

    def hold_tasks(self) -> None:
        """See ``Driver``."""
        self.queue.orders_first(HOLD, self.hold.begin())
        if self.backend is not None:
            self.backend.recall_all()
        self.check_drained()

    def release_tasks(self) -> None:
        """See ``Driver``."""
        self.hold.end()

    def is_quiet(self) -> bool:
        """See ``EngineCore``."""
        return self.hold.complete() and not self.counters.flow().inline_running

    # -- tasks that wait ------------------------------------------------------------------------------------------

    def waiting(self) -> list[TaskFuture[Any]]:
        """See ``Driver``."""
        return self.queue.waiting()

    def fail_queued(self, task: TaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        task._end(Ending(error))

    def bar(self) -> None:
        """See ``Driver``."""
        # A worker that takes a task from now on finds the manager killed, and does not start it.
        with self.counters.lock:
            self.move_door(DoorMove.KILL, self.refusal)

    def take_queued(self, most: int) -> Sequence[TaskFuture[Any]]:
        """See ``Driver``."""
        taken = self.queue.take_many(most)
        # At the end ``waiting`` too: a task whose token a worker has taken is still in its level.
        return taken if len(taken) == most else (*taken, *self.queue.waiting())

    def drop(self, task: TaskFuture[Any]) -> None:
        """See ``Driver``."""
        error = TaskKilled(f"{task.label} was killed before it started: {self.refusal}")
        # Not forced: if a worker has just started the task, it is cancelled with the running ones.
        if task._end(Ending(error, cancelled=True)):
            self.shutdown_counts.add_killed()

    def hung(self, workers: list[Worker]) -> list[Worker]:
        """See ``Driver``."""
        end = monotonic() + _LONGEST_END
        for worker in workers:
            if worker.thread.ident is not None:
                worker.thread.join(seconds_until(end))
        return [worker for worker in workers if worker.thread.is_alive()]

    def abandon(self, task: TaskFuture[Any], error: TaskKilled) -> bool:
        """See ``Driver``."""
        task._finished_at = monotonic()
        # Forced: the attempt still runs, and its own ending, should it ever come, finds this one.
        return task._end(Ending(error, cancelled=True, forced=True))
