"""Refuses calls that would wait for the task or callback in which they are made."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Protocol

from tasker.core.counters import Counters
from tasker.errors import DeadlockError

from .this_thread import this_thread

_RLock = type(threading.RLock())


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
    elif _is_interrupted(engine, waits_for_all=what != "kill"):
        inside = "a signal handler that has interrupted a method of this manager (use stop_on_signals)"
    else:
        return
    raise DeadlockError(f"{what} was called from inside {inside}, which it would wait for")


def _is_interrupted(engine: _Supervised, *, waits_for_all: bool) -> bool:
    """Returns whether this thread was interrupted while it had a lock that the supervisor or a worker of this engine needs. With
    ``waits_for_all``, for a call that waits for all accepted tasks: also in the middle of a submission."""
    frame: FrameType | None = sys._getframe()
    locked = False
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("tasker."):
            if waits_for_all and _submits(frame, engine):
                return True
            locked = locked or _holds_lock(frame)
            whose = getattr(frame.f_locals.get("self"), "_engine", None)
            if locked and whose is not None:  # whose lock that is
                if whose is engine:
                    return True
                locked = False
        frame = frame.f_back
    return locked or _is_owned(engine.counters.lock)


def _holds_lock(frame: FrameType) -> bool:
    """Returns whether a method has the lock of its object. No function of users may be called in there: it could not
    stop its manager."""
    owner = frame.f_locals.get("self")
    return _is_owned(getattr(owner, "lock", None)) or _is_owned(getattr(owner, "_lock", None))


def _submits(frame: FrameType, engine: _Supervised) -> bool:
    """Returns whether a ``submit`` has a number, by which its task counts as accepted, and the task is not in the queue yet."""
    if frame.f_code.co_qualname != "TaskManager.submit":
        return False
    return frame.f_locals["self"]._engine is engine and frame.f_locals.get("number", 0) > 0


def _is_owned(lock: object) -> bool:
    return isinstance(lock, _RLock) and lock._is_owned()  # type: ignore[attr-defined]
