"""What each worker does at this moment, for ``manager.workers()``. Nothing is counted or noted for it on the path of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from reprlib import Repr
from typing import Any, Protocol

from tasker.control import events as ev
from tasker.core.ports import RemoteBackend, WorkerPort
from tasker.stats import ProcessUsage, WorkerStatus

_repr = Repr()
_repr.maxstring = _repr.maxother = 60
_MOST_ARGUMENTS, _LONGEST = 6, 200
PATIENCE = 1.0
"""Seconds that a child process has to say where it is."""
PATIENCE_OF_LOOPS = 0.05
"""The same, where an event loop waits for it."""


class WorkersPort(Protocol):
    """What is needed of an engine."""

    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...

    @property
    def workers(self) -> Mapping[ev.Seat, WorkerPort]: ...
    @property
    def backend(self) -> RemoteBackend | None: ...
    def call_of(self, task: Any) -> tuple[Any, tuple[Any, ...]]:
        """Returns the function and the arguments of a task."""
        ...


def workers_of(engine: WorkersPort, *, arguments: bool = False) -> tuple[WorkerStatus, ...]:
    """Returns what each worker does, by slot. ``arguments``: with those of its task. Costs O(workers)."""
    usage = {} if engine.backend is None else {one.worker: one for one in engine.backend.usage()}
    now = engine.now()
    found = [_status(engine, worker, now, usage, arguments) for worker in list(engine.workers.values())]
    return tuple(sorted(found, key=lambda one: (one.slot, one.generation)))


def _status(
    engine: WorkersPort, worker: WorkerPort, now: float, usage: dict[str, ProcessUsage], arguments: bool
) -> WorkerStatus:
    # Other threads go on meanwhile, so each field is read once. What is read of a task belongs together, whatever the worker
    # does next.
    task, made_at, shard = worker.shard.future, worker.made_at, worker.shard
    started = getattr(task, "_started_at", None)
    return WorkerStatus(
        name=str(worker.name),
        slot=worker.seat.slot,
        generation=worker.seat.generation,
        state=worker.state.value,
        age=None if made_at is None else max(0.0, now - made_at),
        served=0 if made_at is None else max(0, shard.done + shard.sent_back - worker.served_before),
        task=worker.overdue or None if task is None else task.label,
        task_seconds=None if started is None else max(0.0, now - started),
        arguments=_arguments(engine, task) if arguments and task is not None else None,
        attempt=0 if task is None else task.attempts,
        outdated=worker.outdated,
        cooling=worker.cooling,
        process=usage.get(worker.name),
        progress=shard.progress_of(task),
    )


def _arguments(engine: WorkersPort, task: Any) -> str:
    """Returns the arguments of a task in a few words; "" if it has none, or has ended meanwhile."""
    _, args = engine.call_of(task)
    return ", ".join(map(_shown, args[:_MOST_ARGUMENTS]))[:_LONGEST]


def _shown(value: object) -> str:
    try:
        return _repr.repr(value)
    except BaseException:  # of the user's ``__repr__``
        return f"<{type(value).__name__}>"


def stack_of(engine: WorkersPort, name: str, patience: float) -> str | None:
    """Returns where the worker of that name is now; None if there is none. "" if it is not known. ``patience``: the seconds that
    this may block, where a child process has to be asked."""
    worker = next((one for one in list(engine.workers.values()) if one.name == name), None)
    return None if worker is None else worker.where(patience)
