"""``InFlightWindow`` of the asyncio engine."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.aio.future import QUEUED, RUNNING, AsyncTaskFuture
from tasker.context import Context
from tasker.errors import TaskCancelled, TravelError
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.process.options import ProcessBackend
from tasker.process.parent.connection import Connection, InFlightTask
from tasker.process.protocol.errors import PackedError, garbled, unpack_error
from tasker.process.protocol.messages import ERROR, GARBLED, RESULT, Answer

from .async_reader import AsyncReader
from .context import RemoteContext
from .prefetch import PATIENCE
from .window import InFlightWindow, blameless

if TYPE_CHECKING:
    from .aio_host import AsyncRemoteWorker


class AsyncWindow(InFlightWindow):
    """See ``InFlightWindow``. A task is ``RUNNING`` from the sending on."""

    def __init__(
        self, worker: AsyncRemoteWorker, session: Connection, reader: AsyncReader, options: ProcessBackend
    ) -> None:
        super().__init__(worker.engine, session, options, "_held")
        self._worker = worker
        self._engine = worker.engine
        self._ear = reader

    def send(self, taken: list[tuple[AsyncTaskFuture[Any], int]]) -> None:
        """Sends tasks that were taken from the queue."""
        name, numbers = self._worker.name, self._session.numbers
        in_flight: list[InFlightTask] = []
        for future, level in taken:
            future._stage = RUNNING
            future._worker = name
            in_flight.append((next(numbers), future, level))
        self._dispatch(in_flight)

    async def receive(self) -> None:
        """Waits for the child, if it has tasks, and sees to what it says. ``EOFError`` once it is gone."""
        in_flight = self._session.in_flight
        if not in_flight:
            return
        answers = await self._ear.answers(PATIENCE if len(in_flight) > 1 else None)
        if answers:
            await self._answered(answers)
            self._begin()
            self._check_drained()
        elif len(in_flight) > 1:
            self._ahead.slow()
            self.take_back()

    async def _answered(self, answers: list[Answer]) -> None:
        engine, shard = self._engine, self._worker.shard
        meter, collector = shard.meter, engine.collector
        took, begun = 0.0, monotonic()
        for answer in answers:
            if answer[0] != RESULT:
                if answer[0] == ERROR:
                    await self._failed(*answer[1:])
                elif answer[0] == GARBLED:
                    await self._garbled(answer[1])
                else:
                    self._received(answer)
                continue
            _, number, value, started, finished = answer
            future = self._land(number)
            future._started_at = started
            future._finished_at = finished
            took += finished - started
            meter.execution.append(finished - started)
            meter.wait.append(started - future._queued_at)
            shard.done += 1
            shard.future = None
            if collector is not None:
                engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, started, finished))
            if future._stage == RUNNING:
                future._end_result(value)
        self._ahead.took(took / len(answers))
        shard.flush()
        if monotonic() - begun > _SLICE:
            await asyncio.sleep(0)

    async def _failed(self, number: int, packed: PackedError, started: float, finished: float, cancelled: bool) -> None:
        future = self._land(number)
        future._started_at = started
        error = unpack_error(packed)
        context = self._worker.context
        if cancelled and context is not None and not context.cancelled:
            Context.cancel(context, error)  # the task did that itself
        healthy = await self._worker.failed(future, error, blameless=blameless(error, packed))
        self._worker.shard.future = None
        self._tried(healthy)

    def lost(self, number: int, future: AsyncTaskFuture[Any]) -> BaseException | None:
        """The child died in this task: why it was cancelled, if it was."""
        if number != self._session.begun:
            self._count(future)
            return None
        context = self._worker.context
        return None if context is None else context.cause

    async def _garbled(self, fault: BaseException) -> None:
        future = self._land(self._session.in_flight[0][0])
        await self._worker.failed(future, garbled(future.label, fault), blameless=True)
        self._worker.shard.future = None

    def recall(self) -> None:
        """``take_back`` by somebody else: what was sent ahead is to wait in the queue, where it can be overtaken or cancelled."""
        if len(self._session.in_flight) > 1:
            self.take_back()
            self._ear.nudge()

    # -- InFlightWindow --------------------------------------------------------------------------------------------------

    def _refuse(self, future: AsyncTaskFuture[Any], error: TravelError) -> None:
        now, shard = monotonic(), self._worker.shard
        future._started_at = future._finished_at = now
        shard.done += 1
        shard.meter.failed += 1
        self._engine.release_slot(future)
        if future._stage == RUNNING:
            future._end_error(error)
        self._engine.hooks.failure(TaskLifecycleTimestamps(future._queued_at, now, now))

    def _count(self, future: AsyncTaskFuture[Any]) -> None:
        self._worker.shard.future = future
        future._started_at = monotonic()
        self._engine.release_slot(future)

    def _uncount(self, future: AsyncTaskFuture[Any]) -> None:
        self._worker.shard.future = self._worker.context = None
        future.extra().slot_released = True

    def _begins(self, future: AsyncTaskFuture[Any], context: RemoteContext) -> bool:
        self._worker.context = context
        return future._extra is not None and future._extra.cancel_requested

    def _return(self, future: AsyncTaskFuture[Any], level: int) -> None:
        if future.done():  # abandoned
            return
        future._stage = QUEUED
        if self._engine.killed:
            self._engine.drop(future)
        elif future._extra is not None and future._extra.cancel_requested:
            future._extra.ended_waiting = True
            future._end_cancelled(TaskCancelled(f"{future.label} was cancelled before it started"))
            self._engine.ended_in_queue(future)
        else:
            self._engine.queue.put_back(future, level)

    def _check_drained(self) -> None:
        if self._engine.draining:
            self._engine.check_drained()


_SLICE = 0.001
"""Seconds of outcomes after which the rest of the loop has its turn."""
