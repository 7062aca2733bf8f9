"""What a worker's thread does while the worker is parked."""

from __future__ import annotations

from collections.abc import Callable

from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.flag import Flag

from .ports import HostedWorker


def stay(worker: HostedWorker, gone: Callable[[], bool] = bool) -> None:
    """Parks the worker, if that is still wanted, and returns when it has to serve again. ``gone``: whether its resource is
    gone; what notices that later calls ``ParkingLot.leave``."""
    queue, report, released = worker.engine.queue, worker.engine.report, Flag()
    if not queue.lot.enter(worker, released.set):
        return
    try:
        worker.state = WorkerState.PARKED
        report(ev.WorkerParked(worker.seat))
        # After ``enter``: a resource that goes later finds the worker in the lot.
        if not gone():
            released.wait()
    finally:
        queue.lot.leave(worker)
        worker.state = WorkerState.READY
        report(ev.WorkerUnparked(worker.seat))
