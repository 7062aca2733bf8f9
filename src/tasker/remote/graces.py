"""The graces of cancelled tasks: one thread for all sessions of this program, ``tasker-graces``, while there is any.

A session has one grace at most, that of its running task: with a thread or an entry for each cancelled task there would be
thousands of them where tasks are cancelled often and end soon.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Hashable
from time import monotonic

from tasker.core.daemon import Daemon
from tasker.core.flag import Flag

_LONGEST = 1e6
"""Seconds; no clock takes any number."""


class Graces:
    """Calls something later, unless it is forgotten before. Thread-safe."""

    def __init__(self) -> None:
        # Reentrant: a finalizer or a signal handler may cancel a task in the middle of this. Of C, as what wakes the thread
        # has no lock: a Condition, whose methods are Python, Ctrl-C could leave locked in a thread that cancels.
        self._lock = threading.RLock()
        self._changed = Flag()
        self._due: dict[Hashable, tuple[float, int, Callable[[], object]]] = {}
        self._wakes_at = 0.0
        """When the thread looks next, if nothing notifies it."""
        self._thread: threading.Thread | None = None

    def set(self, key: Hashable, number: int, seconds: float, fn: Callable[[], object]) -> None:
        """Has ``fn`` called after ``seconds``, in place of what was set for ``key`` before; without effect if that has a
        higher number. Numbers grow from task to task: a cancellation that comes late, when its task has ended, must not
        take the place of the grace of a later task."""
        with self._lock:
            if number < self._due.get(key, (0.0, number))[1]:
                return
            due = monotonic() + min(seconds, _LONGEST)
            self._due[key] = due, number, fn
            if self._thread is None:
                self._wakes_at = due
                thread = Daemon(self._run, "tasker-graces")
                thread.start()
                self._thread = thread
            elif due < self._wakes_at:
                self._changed.set()

    def soon(self, fn: Callable[[], object]) -> None:
        """Has ``fn`` called at once, in the thread."""
        self.set(object(), 0, 0.0, fn)

    def forget(self, key: Hashable) -> None:
        """Drops what was set for ``key``; the last one ends the thread."""
        with self._lock:
            if self._due.pop(key, None) is not None and not self._due:
                self._changed.set()

    def _run(self) -> None:
        while (ready := self._next()) is not None:
            for fn in ready:
                try:
                    fn()
                except BaseException:  # the other sessions have their graces all the same
                    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
            del ready, fn

    def _next(self) -> list[Callable[[], object]] | None:
        """Waits until something is due; returns None once there is nothing left."""
        while True:
            self._changed.clear()
            with self._lock:
                if not self._due:
                    self._thread = None
                    return None
                # A copy, and defaults: a finalizer that runs in this thread may set and forget keys.
                now, known = monotonic(), self._due.copy()
                ready = _ready(known, now)
                if ready:
                    for key in ready:
                        self._due.pop(key, None)
                    return [known[key][2] for key in ready]
                self._wakes_at = min((due for due, _, _ in known.values()), default=now)
            self._changed.wait(self._wakes_at - now)

    def _forget_all(self) -> None:
        """In a fork of this process, which has neither the thread nor the sessions."""
        self.__init__()  # type: ignore[misc]


def _ready(known: dict[Hashable, tuple[float, int, Callable[[], object]]], now: float) -> list[Hashable]:
    return [key for key, (due, _, _) in known.items() if due <= now]


graces: Graces = Graces()
os.register_at_fork(after_in_child=graces._forget_all)
