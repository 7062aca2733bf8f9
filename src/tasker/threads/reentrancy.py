"""Calls that would wait for what they are called from."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasker.errors import DeadlockError

from .worker import this_thread

if TYPE_CHECKING:
    from .engine import Engine


def forbid_reentry(engine: Engine, what: str) -> None:
    """``DeadlockError`` where this thread runs a task or callback of this manager."""
    worker = this_thread.worker
    if worker is not None and worker.engine is engine:
        inside = f"{worker.shard.future or 'a callback'} in worker {worker.name}"
    elif engine in this_thread.inline:
        inside = "a task in run_task"
    elif threading.current_thread() is engine.thread:
        inside = "its supervisor"
    else:
        return
    raise DeadlockError(f"{what} was called from inside {inside}, which it would wait for")
