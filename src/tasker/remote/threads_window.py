"""``InFlightWindow`` of the threaded engine."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.core.probing import passes
from tasker.errors import TaskTimeout, TravelError
from tasker.metrics.meter import BATCH
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.threads.callback_runner import callback_runner
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import DONE, FINISHED, RUN, SETTLED, Ending, opened, outcome_in
from tasker.threads.ports import HostedWorker

from .context import RemoteContext
from .events import ERROR, GARBLED, RESULT, SessionEvent, checked, garbled, out_of_turn
from .ports import ThreadsWindowEngine
from .prefetch import PATIENCE
from .session import InFlightTask, Session, SessionOptions
from .suspects import Suspects
from .way_back import cancelled_unstarted
from .window import InFlightWindow


class ThreadsWindow(InFlightWindow):
    """See ``InFlightWindow``. ``RUN`` stands in a task's log from the sending on."""

    def __init__(
        self,
        worker: HostedWorker,
        engine: ThreadsWindowEngine,
        session: Session,
        options: SessionOptions,
        suspects: Suspects | None = None,
    ) -> None:
        super().__init__(worker.name, engine, session, options, session.nudge, suspects)
        self._worker = worker
        self._engine = engine

    def send(self) -> None:
        """Sends the tasks in ``taken``, as far as they are still to be run."""
        engine, worker, numbers = self._engine, self._worker, self._session.numbers
        name, now = worker.name, monotonic()
        tasks: list[InFlightTask] = []
        for future, level in self.taken:
            future._worker = name
            future._started_at = now
            future._context = None  # until it is the first
            log = opened(future)
            log.append(RUN)
            # After ``RUN``: an ending that was there before it counts, and one that comes later does not.
            if (len(log) != 1 and not future._may_run()) or engine.killed:
                worker.skip(future)
            else:
                tasks.append((next(numbers), future, level))
        self._dispatch(tasks)
        if not self._session.in_flight:
            self.check_drained()

    # -- from the session -----------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Waits for events, if tasks are in flight, and handles them. Raises ``EOFError`` once the session is gone."""
        session = self._session
        in_flight = session.in_flight
        if not in_flight:
            return
        session.wait(PATIENCE if len(in_flight) > 1 else None)
        events = session.events()
        if events:
            self._handle_all(events)
            self._begin()
            self.check_drained()
        else:
            self._silent()

    def _handle_all(self, events: list[SessionEvent]) -> None:
        engine, shard, session = self._engine, self._worker.shard, self._session
        meter, collector, bounded = shard.meter, engine.collector, engine.queue_slots is not None
        add_execution, add_wait, take_first = meter.execution.append, meter.wait.append, session.in_flight.popleft
        took, served = 0.0, 0
        future: Any = None
        self._unhandled = rest = iter(events)
        try:
            for event in rest:
                if event[0] != RESULT:
                    self._handle(event)
                    continue
                _, number, value, started, finished = event
                expected, future, level = take_first()
                if expected != number:
                    session.in_flight.appendleft((expected, future, level))
                    raise out_of_turn(expected, number)
                if number != session.begun:
                    # It began and ended between two looks: nothing but its outcome was to be seen.
                    shard.taken += 1
                    future._attempts += 1
                    if bounded:
                        engine.release_slot(future)
                future._started_at = started
                future._finished_at = finished
                future._value = value
                seconds = finished - started
                took += seconds
                add_execution(seconds)
                add_wait(started - future._queued_at)
                # Before ``DONE``, so that a caller that has the result finds it counted.
                shard.done += 1
                shard.future = None
                if collector is not None:
                    engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, started, finished))
                log = future._log
                log.append(DONE)
                if len(log) == 2:
                    future._kind = FINISHED
                    future._log = SETTLED
                    future._task = future._args = future._variables = future._context = None
                elif not future._after(DONE):
                    future._value = None
                served += 1  # last, not an ``if``: docs/decisions/0043
        except BaseException as fault:
            self._lose_in_hand(future, fault)
            self._lose_in_hand(shard.future, fault)
            raise
        self._handled(events, took)
        self.recycle_limits.served += served
        if len(meter.execution) >= BATCH:
            meter.flush()

    def _handle(self, event: SessionEvent) -> None:
        if event[0] == ERROR:
            self._handling = event
            _, number, error, started, _, cancelled, blameless = event
            future = self._raised(number, error, started, cancelled)
            health = self._worker.failed(future, error, blameless=blameless)
            self._worker.shard.future = None
            self._judged(health)
        elif event[0] == GARBLED:
            future = self._ended(self._session.in_flight[0][0])
            self._worker.failed(future, garbled(future.label, event[1]), blameless=True)
            self._unread()
            self._worker.shard.future = None
        else:
            super()._handle(event)

    def probe(self) -> bool:
        """Has the resource checked; no task is in flight. Raises ``EOFError`` if the session goes meanwhile."""
        session = self._session
        session.check()
        while True:
            session.wait()
            if (answer := checked(session.events(), self._handle)) is not None:
                return passes(self._engine, self.name, answer[1])

    # -- after a fault of this process ----------------------------------------------------------------------------

    def deliver_rest(self, fault: BaseException) -> None:
        """Delivers the outcomes that the session, which is gone, has reported."""
        self._lose_in_hand(self._worker.shard.future, fault)
        for event in self._read_before():
            try:
                self._handle_all([event])
            except BaseException as error:  # of a task that is not the first in flight, say
                self._engine.log.fault(f"worker {self.name}", error)

    def _lose_in_hand(self, future: Any, fault: BaseException) -> None:
        """Ends a task whose outcome was read, if the fault struck before that was delivered, and completes the
        counters, whatever of them was counted."""
        if not self._in_hand(future):
            return
        shard = self._worker.shard
        if shard.taken == shard.done + shard.sent_back and getattr(future, "_finished_at", 0.0) < future._started_at:
            self._count(future)
        shard.done = shard.taken - shard.sent_back
        self._worker.lose(future, self.lost_by(fault))

    # -- InFlightWindow -------------------------------------------------------------------------------------------

    def _refuse(self, future: TaskFuture[Any], error: TravelError) -> None:
        shard = self._worker.shard
        current = shard.future
        self._count(future)
        self._worker.failed(future, error, blameless=True)
        shard.future = current

    def _count(self, future: TaskFuture[Any]) -> None:
        shard = self._worker.shard
        shard.future = future
        shard.taken += 1
        future._attempts += 1
        self._engine.release_slot(future)

    def _is_counted(self, future: TaskFuture[Any]) -> bool:
        return self._worker.shard.future is future

    def _uncount(self, future: TaskFuture[Any]) -> None:
        shard, counters = self._worker.shard, self._engine.counters
        with counters.lock:
            shard.sent_back += 1
            counters.sent_back += 1
        if shard.future is future:
            shard.future = None
        future._context = None
        future._attempts -= 1

    def _give_context(self, future: TaskFuture[Any], context: RemoteContext) -> bool:
        # The context first, then the log. ``cancel`` writes the log first and then looks for a context, so at least one
        # of the two cancels it.
        future._context = context
        log = future._log
        return len(log) != 1 and any(type(entry) is Ending and not _expired(entry) for entry in (*log,))

    def _context_of(self, future: TaskFuture[Any]) -> Context | None:
        return future._context

    def _unsend(self, future: TaskFuture[Any]) -> tuple[bool, bool]:
        cancelled = future._goes_back()
        # The deadline of a kill may have passed meanwhile. Any other outcome needs no case of its own: whatever is appended to
        # its log then comes too late to count.
        return _forced(future) is not None, cancelled

    def _count_ended(self, future: TaskFuture[Any]) -> None:
        # Whatever sets a forced ending leaves the counting to the attempt, and there is none.
        if (ending := _forced(future)) is not None:
            self._engine.ended_in_queue(future, ending)

    def _cancel_unstarted(self, future: TaskFuture[Any]) -> None:
        future._end(Ending(cancelled_unstarted(future), cancelled=True))

    def _calling_back_last(self, call: Callable[[], object]) -> None:
        callback_runner.after(call)


def _forced(future: TaskFuture[Any]) -> Ending | None:
    """Returns the outcome of a task if it was forced on it."""
    outcome = outcome_in((*future._log,))
    return outcome if type(outcome) is Ending and outcome.forced else None


def _expired(entry: Ending) -> bool:
    """Whether its deadline has passed on its way: then ``LimitedTask.start`` has it cancelled, with the right cause."""
    return issubclass(type(entry.error), TaskTimeout)
