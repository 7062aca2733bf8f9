"""``InFlightWindow`` of the asyncio engine."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from tasker.aio.future import QUEUED, RUNNING, AsyncTaskFuture
from tasker.aio.worker import AsyncWorker
from tasker.context import Context
from tasker.core.probing import passes
from tasker.errors import TravelError
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .async_reader import AsyncReader
from .context import RemoteContext
from .events import ERROR, GARBLED, RESULT, SessionEvent, checked, garbled
from .ports import LoopBackendEngine
from .prefetch import PATIENCE
from .session import InFlightTask, Session, SessionOptions
from .suspects import Suspects
from .way_back import cancelled_unstarted
from .window import InFlightWindow

_SLICE = 0.001
"""Seconds of outcomes after which the rest of the loop has its turn."""


class AsyncWindow(InFlightWindow):
    """See ``InFlightWindow``. A task is ``RUNNING`` from the sending on."""

    def __init__(
        self,
        worker: AsyncWorker,
        engine: LoopBackendEngine,
        session: Session,
        reader: AsyncReader,
        options: SessionOptions,
        suspects: Suspects | None = None,
    ) -> None:
        super().__init__(worker.name, engine, session, options, reader.nudge, suspects)
        self._worker = worker
        self._engine = engine
        self._reader = reader

    def send(self) -> None:
        """Sends the tasks in ``taken``."""
        name, numbers = self._worker.name, self._session.numbers
        tasks: list[InFlightTask] = []
        for future, level in self.taken:
            future._stage = RUNNING
            future._worker = name
            tasks.append((next(numbers), future, level))
        self._dispatch(tasks)

    # -- from the session -----------------------------------------------------------------------------------------

    async def receive(self) -> None:
        """Waits for events, if tasks are in flight, and handles them. Raises ``EOFError`` once the session is gone."""
        in_flight = self._session.in_flight
        if left := [*self._unhandled]:  # a cancellation of this worker has struck among them
            await self._handle_all(left)
        if not in_flight:
            return
        events = await self._reader.events(PATIENCE if len(in_flight) > 1 else None)
        if events:
            begun = monotonic()
            await self._handle_all(events)
            self._begin()
            self.check_drained()
            if monotonic() - begun > _SLICE:  # last: a cancellation of this worker may strike here
                await asyncio.sleep(0)
        else:
            self._silent()

    async def _handle_all(self, events: list[SessionEvent]) -> None:
        engine, shard = self._engine, self._worker.shard
        meter, collector = shard.meter, engine.collector
        took = 0.0
        future: Any = None
        self._unhandled = rest = iter(events)
        try:
            for event in rest:
                if event[0] != RESULT:
                    await self._handle_other(event)
                    continue
                self._handling = event
                _, number, value, started, finished = event
                future = self._ended(number)
                future._started_at = started
                future._finished_at = finished
                meter.execution.append(finished - started)
                meter.wait.append(started - future._queued_at)
                shard.done += 1
                shard.future = None
                if collector is not None:
                    engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, started, finished))
                if future._stage == RUNNING:
                    future._end_result(value)
                took += finished - started  # last, not an ``if``: docs/decisions/0043
        except BaseException as fault:
            self._lose_in_hand(future, fault)
            self._lose_in_hand(shard.future, fault)
            raise
        self._handled(events, took)
        shard.flush()

    async def _handle_other(self, event: SessionEvent) -> None:
        if event[0] == ERROR:
            self._handling = event
            _, number, error, started, _, cancelled, blameless = event
            future = self._raised(number, error, started, cancelled)
            health = await self._worker.failed(future, error, blameless=blameless)
            self._worker.shard.future = None
            self._judged(health)
        elif event[0] == GARBLED:
            future = self._ended(self._session.in_flight[0][0])
            await self._worker.failed(future, garbled(future.label, event[1]), blameless=True)
            self._unread()
            self._worker.shard.future = None
        else:
            self._handle(event)

    async def probe(self) -> bool:
        """Has the resource checked; no task is in flight. Raises ``EOFError`` if the session goes meanwhile."""
        self._session.check()
        while True:
            try:
                events = await self._reader.events()
            except asyncio.CancelledError:
                await self._worker._absorb()
                continue
            if (answer := checked(events, self._handle)) is not None:
                return passes(self._engine, self.name, answer[1])

    # -- after a fault of this process ----------------------------------------------------------------------------

    async def deliver_rest(self, fault: BaseException) -> None:
        """Delivers the outcomes that the session, which is gone, has reported."""
        self._lose_in_hand(self._worker.shard.future, fault)
        for event in self._read_before(self._reader.take()):
            try:
                await self._handle_all([event])
            except asyncio.CancelledError:
                await self._worker._absorb()
            except BaseException as error:  # of a task that is not the first in flight, say
                self._engine.log.fault(f"worker {self.name}", error)

    def _lose_in_hand(self, future: Any, fault: BaseException) -> None:
        """Ends a task whose outcome was read, if the fault struck before that was delivered."""
        shard = self._worker.shard
        if not self._in_hand(future) or future._stage != RUNNING:
            return
        if shard.future is future:  # not counted as done
            shard.done += 1
            shard.future = None
        shard.meter.failed += 1
        future._end_error(self.lost_by(fault))

    # -- InFlightWindow -------------------------------------------------------------------------------------------

    def _refuse(self, future: AsyncTaskFuture[Any], error: TravelError) -> None:
        now, shard = monotonic(), self._worker.shard
        future._started_at = future._finished_at = now
        shard.done += 1
        shard.meter.failed += 1
        self._engine.release_slot(future)
        if future._stage == RUNNING:
            future._end_error(error)
        self._engine.hooks.failure(TaskLifecycleTimestamps(future._queued_at, now, now), future, error)

    def _count(self, future: AsyncTaskFuture[Any]) -> None:
        self._worker.shard.future = future
        future._started_at = monotonic()
        self._engine.release_slot(future)

    def _is_counted(self, future: AsyncTaskFuture[Any]) -> bool:
        return self._worker.shard.future is future

    def _uncount(self, future: AsyncTaskFuture[Any]) -> None:
        self._worker.shard.future = self._worker.context = None
        future.extra().slot_released = True

    def _give_context(self, future: AsyncTaskFuture[Any], context: RemoteContext) -> bool:
        self._worker.context = context
        return future._extra is not None and future._extra.cancel_requested

    def _context_of(self, future: AsyncTaskFuture[Any]) -> Context | None:
        return self._worker.context

    def _unsend(self, future: AsyncTaskFuture[Any]) -> tuple[bool, bool]:
        if future.done():  # abandoned
            return True, False
        future._stage = QUEUED
        return False, future._extra is not None and future._extra.cancel_requested

    def _count_ended(self, future: AsyncTaskFuture[Any]) -> None:
        self._engine.ended_in_queue(future)  # the attempt would have counted it, and there is none

    def _cancel_unstarted(self, future: AsyncTaskFuture[Any]) -> None:
        if future._stage == QUEUED:  # else the callback of one that came back with it has ended it
            future.extra().ended_waiting = True
            future._end_cancelled(cancelled_unstarted(future))
