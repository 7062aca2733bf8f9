"""What a worker in an event loop does when it finds an order in the queue: it retires, is parked, renews its resource, or waits
for the end of a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from tasker.control import events as ev
from tasker.control.workers import WorkerState

from .cancellation import outlast
from .ports import OrderedWorker


async def obey_order(worker: OrderedWorker, *, gone: Callable[[], bool] = bool) -> bool:
    """Takes the next order of the queue. Returns False if the worker has to end; otherwise, once it has to serve again.
    ``gone``: whether its resource is gone; what notices that later calls ``ParkingLot.leave`` and ``queue.leave_hold``."""
    if worker.engine.queue.held and not worker.outdated:
        await _wait_for_end_of_pause(worker, gone)
        if not worker.outdated:
            return True
    if not worker.outdated and worker.engine.queue.take_order():
        worker.engine.report(ev.WorkerRetiring(worker.seat))
        return False
    if not worker.outdated:
        await _stay(worker, gone)
    if worker.outdated:
        worker.engine.report(ev.WorkerWorn(worker.seat))
        return False
    return True


async def _wait_for_end_of_pause(worker: OrderedWorker, gone: Callable[[], bool]) -> None:
    engine, staying = worker.engine, worker.engine.queue.staying
    released = engine.loop.create_future()
    staying[worker] = partial(_set, released)
    try:
        worker.shard.flush()
        engine.check_drained()
        if not gone():
            await outlast(released)  # as below
    finally:
        del staying[worker]


async def _stay(worker: OrderedWorker, gone: Callable[[], bool]) -> None:
    engine = worker.engine
    lot, released = engine.queue.lot, engine.loop.create_future()

    if not lot.enter(worker, partial(_set, released)):
        return
    try:
        worker.state = WorkerState.PARKED
        worker.shard.flush()
        engine.report(ev.WorkerParked(worker.seat))
        if not gone():
            await outlast(released)  # a cancellation that comes now is for no task
    finally:
        lot.leave(worker)
        worker.state = WorkerState.READY
        if not engine.torn_down:
            engine.report(ev.WorkerUnparked(worker.seat))


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
