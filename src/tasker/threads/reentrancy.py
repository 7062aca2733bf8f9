"""Refuses calls that would wait for the task or callback in which they are made."""

from __future__ import annotations

import threading
from typing import Protocol

from tasker.core.counters import Counters
from tasker.errors import DeadlockError

from .this_thread import this_thread


class _Supervised(Protocol):
    @property
    def thread(self) -> threading.Thread:
        """The supervisor's thread."""
        ...

    @property
    def counters(self) -> Counters: ...


def forbid_reentry(engine: _Supervised, what: str) -> None:
    """Raises ``DeadlockError`` if this thread is running a task or callback of this engine, or is in the middle of one of its
    methods, in a signal handler: then the supervisor would need a lock that the method has."""
    worker = this_thread.worker
    if worker is not None and worker.engine is engine:
        inside = f"{worker.shard.future or 'a callback'} in worker {worker.name}"
    elif engine in this_thread.inline:
        inside = "a task in run_task"
    elif this_thread.helps is not None and this_thread.helps[0] is engine:
        inside = this_thread.helps[1]
    elif threading.current_thread() is engine.thread:  # in the logger, or, with no more threads, in what a helper runs
        inside = "its supervisor"
    elif engine.counters.lock._is_owned():  # type: ignore[attr-defined]
        inside = "a signal handler that has interrupted a method of this manager (use stop_on_signals)"
    else:
        return
    raise DeadlockError(f"{what} was called from inside {inside}, which it would wait for")
