"""What the present thread is for the managers of this process: a worker, or a caller of ``run_task``, or neither."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from tasker.control.events import Seat
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard


class RunningWorker(Protocol):
    """A worker, as code that runs in its thread sees it."""

    @property
    def engine(self) -> Any: ...
    @property
    def seat(self) -> Seat: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> WorkerState: ...
    @property
    def shard(self) -> Shard: ...


class ThreadState(threading.local):
    """See the module's docstring."""

    worker: RunningWorker | None = None
    inline: tuple[Any, ...] = ()
    """The engines whose ``run_task`` this thread is in, innermost last."""


this_thread: ThreadState = ThreadState()
