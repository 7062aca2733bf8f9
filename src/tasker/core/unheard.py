"""A worker serves from the moment in which it says so; the supervisor hears of that a little later. What it has decided
meanwhile for want of a worker, to have queued tasks fail, would strike tasks that can run."""

from __future__ import annotations

from collections.abc import Mapping

from tasker.control.events import Seat
from tasker.control.workers import WorkersTable, WorkerState
from tasker.core.ports import WorkerPort

_NOT_YET = (WorkerState.STARTING, WorkerState.STUCK)
"""As what the supervisor may know a worker that serves by now: it has made its resource, or has returned from its task."""


def serves_unheard(workers: Mapping[Seat, WorkerPort], table: WorkersTable) -> bool:
    """Returns whether a worker serves of which the supervisor, whose table this is, has not heard that. Not one that is about
    to end, of which it has heard before the worker itself got there. To be called between two events."""
    seats = [seat for seat, state in table.states.items() if state in _NOT_YET]
    return any((worker := workers.get(seat)) is not None and worker.state is WorkerState.READY for seat in seats)
