"""``InFlightWindow`` of the threaded engine."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.context import Context
from tasker.errors import TaskCancelled, TravelError
from tasker.metrics.meter import BATCH
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.process.options import ProcessBackend
from tasker.process.parent.connection import Connection, InFlightTask
from tasker.process.protocol.errors import PackedError, garbled, unpack_error
from tasker.process.protocol.messages import ERROR, GARBLED, RESULT, Answer
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import DONE, FINISHED, RUN, SETTLED, Ending, opened

from .context import RemoteContext
from .prefetch import PATIENCE
from .window import InFlightWindow, blameless, out_of_turn

if TYPE_CHECKING:
    from tasker.threads.worker import Worker


class ThreadsWindow(InFlightWindow):
    """See ``InFlightWindow``. ``RUN`` stands in a task's log from the sending on."""

    def __init__(self, worker: Worker, session: Connection, options: ProcessBackend) -> None:
        super().__init__(worker.engine, session, options, "_args")
        self._worker = worker
        self._engine = worker.engine

    def send(self, taken: list[tuple[TaskFuture[Any], int]]) -> None:
        """Sends tasks that were taken from the queue, as far as they are still to be run."""
        engine, worker, numbers = self._engine, self._worker, self._session.numbers
        name, now = worker.name, monotonic()
        in_flight: list[InFlightTask] = []
        for future, level in taken:
            future._worker = name
            future._started_at = now
            future._context = None  # until it is the first
            log = opened(future)
            log.append(RUN)
            if (len(log) != 1 and not future._may_run()) or engine.killed:
                worker.skip(future)
            else:
                in_flight.append((next(numbers), future, level))
        self._dispatch(in_flight)
        if not self._session.in_flight:
            self._check_drained()

    # -- from the child -------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Waits for the child, if it has tasks, and sees to what it says. ``EOFError`` once it is gone."""
        session = self._session
        in_flight = session.in_flight
        if not in_flight:
            return
        session.wait(PATIENCE if len(in_flight) > 1 else None)
        answers = session.answers()
        if answers:
            self._answered(answers)
            self._begin()
            self._check_drained()
        elif len(in_flight) > 1:
            self._ahead.slow()
            self.take_back()

    def _answered(self, answers: list[Answer]) -> None:
        engine, shard, session = self._engine, self._worker.shard, self._session
        meter, collector, bounded = shard.meter, engine.collector, engine.queue_slots is not None
        add_execution, add_wait, land = meter.execution.append, meter.wait.append, session.in_flight.popleft
        took, served = 0.0, 0
        for answer in answers:
            if answer[0] != RESULT:
                self._received(answer)
                continue
            _, number, value, started, finished = answer
            expected, future, _ = land()
            if expected != number:
                raise out_of_turn(expected, number)
            if number != session.begun:
                shard.taken += 1
                future._attempts += 1
                if bounded:
                    engine.release_slot(future)
            future._started_at = started
            future._finished_at = finished
            future._value = value
            seconds = finished - started
            took += seconds
            served += 1
            add_execution(seconds)
            add_wait(started - future._queued_at)
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
        self._ahead.took(took / len(answers))
        self.recycle_limits.served += served
        if len(meter.execution) >= BATCH:
            meter.flush()

    def _received(self, answer: Answer) -> None:
        if answer[0] == ERROR:
            self._failed(*answer[1:])
        elif answer[0] == GARBLED:
            self._garbled(answer[1])
        else:
            super()._received(answer)

    def _failed(self, number: int, packed: PackedError, started: float, finished: float, cancelled: bool) -> None:
        future = self._land(number)
        future._started_at = started
        error = unpack_error(packed)
        context = future._context
        if cancelled and context is not None and not context.cancelled:
            Context.cancel(context, error)  # the task did that itself
        healthy = self._worker.failed(future, error, blameless=blameless(error, packed))
        self._worker.shard.future = None
        self._tried(healthy)

    def lost(self, number: int, future: TaskFuture[Any]) -> BaseException | None:
        """The child died in this task: why it was cancelled, if it was."""
        if number != self._session.begun:
            self._count(future)
        context = future._context
        return None if context is None else context.cause

    def _garbled(self, fault: BaseException) -> None:
        future = self._land(self._session.in_flight[0][0])
        self._worker.failed(future, garbled(future.label, fault), blameless=True)
        self._worker.shard.future = None

    def recall(self) -> None:
        """``take_back`` by another thread: what was sent ahead is to wait in the queue, where it can be overtaken or cancelled."""
        if len(self._session.in_flight) > 1:
            self.take_back()
            self._session.nudge()

    # -- InFlightWindow --------------------------------------------------------------------------------------------------

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

    def _uncount(self, future: TaskFuture[Any]) -> None:
        shard, counters = self._worker.shard, self._engine.counters
        with counters.lock:
            shard.sent_back += 1
            counters.sent_back += 1
        if shard.future is future:
            shard.future = None
        future._context = None
        future._attempts -= 1

    def _begins(self, future: TaskFuture[Any], context: RemoteContext) -> bool:
        future._context = context  # then look, since ``cancel`` does it the other way round
        log = future._log
        return len(log) != 1 and any(type(entry) is Ending for entry in (*log,))

    def _return(self, future: TaskFuture[Any], level: int) -> None:
        unwanted = future._goes_back()
        if self._engine.killed:
            self._engine.drop(future)
        elif unwanted:
            text = f"{future.label} was cancelled before it started"
            future._end(Ending(TaskCancelled(text), cancelled=True))
        else:
            self._engine.queue.put_back(future, level)

    def _check_drained(self) -> None:
        if self._engine.draining:
            self._engine.check_drained()
