"""``this_thread``: what the current thread is doing for the managers of this process."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from tasker.control.events import Seat
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard


class RunningWorker(Protocol):
    """The part of a worker that code in its thread uses."""

    @property
    def engine(self) -> Any: ...
    @property
    def seat(self) -> Seat: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> WorkerState: ...
    @property
    def overdue(self) -> str: ...
    @property
    def shard(self) -> Shard: ...


class ThreadState(threading.local):
    """Records whether a thread is a worker, a caller of ``run_task``, or neither."""

    worker: RunningWorker | None = None
    helps: tuple[Any, str] | None = None
    """The engine for which this thread calls user code, and what code; None in the threads of workers and callers."""
    inline: tuple[Any, ...] = ()
    """The engines whose ``run_task`` this thread is running, innermost last."""


this_thread: ThreadState = ThreadState()
