"""TaskHold: where workers stay during a pause of their manager, with their resources.

A worker that waits for tasks can be reached only through the queue, so a pause puts one ``HOLD`` there for each worker that
serves, in front of all tasks. So a pause costs a worker nothing until it takes one, and *every serving worker is here* is the
proof that no task runs. A ``HOLD`` that is left when the pause ends means nothing to the worker that takes it later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasker.control.workers import WorkerState
from tasker.core.monitor import monitor


class HeldWorker(Protocol):
    """The part of a worker that is used here."""

    @property
    def state(self) -> WorkerState: ...
    @property
    def overdue(self) -> str:
        """The task that it runs although that has its outcome, in words."""
        ...


class TaskHold:
    """See the module's docstring. Thread-safe. ``arrived`` is called, with the lock held, when a worker begins to stay,
    or has taken a ``HOLD`` in vain."""

    def __init__(self, arrived: Callable[[], object]) -> None:
        self._arrived = arrived
        self.renew_lock()
        self._holds = False
        self._serving: set[HeldWorker] = set()
        self._staying: set[HeldWorker] = set()

    # -- for workers ----------------------------------------------------------------------------------------------

    def enter(self, worker: HeldWorker, gone: Callable[[], bool] = bool) -> None:
        """A worker is about to serve. During a pause, it stays here first."""
        with self._lock:
            self._serving.add(worker)
            if self._holds:
                self.stay(worker, gone)

    def leave(self, worker: HeldWorker) -> None:
        """A worker does not serve any more."""
        with self._lock:
            self._serving.discard(worker)

    def stay(self, worker: HeldWorker, gone: Callable[[], bool] = bool) -> None:
        """Returns when there is no pause. ``gone``: whether the worker's resource is gone; what notices that later calls
        ``look``."""
        with self._lock:
            if not self._holds:
                # Its ``HOLD`` was in the queue until now, and so it did not look whether its last task was the last of a stop.
                self._arrived()
                return
            try:
                self._staying.add(worker)
                self._arrived()
                while True:  # docs/decisions/0043
                    if not self._holds or gone():
                        break
                    self._changed.wait()
            finally:
                self._staying.discard(worker)

    def look(self) -> None:
        """Has the workers that stay look whether their resources are gone."""
        with self._lock:
            self._changed.notify_all()

    # -- for the supervisor's thread ------------------------------------------------------------------------------

    def begin(self) -> int:
        """Begins a pause. Returns how many ``HOLD`` have to be put."""
        with self._lock:
            self._holds = True
            return len(self._serving - self._staying)

    def end(self) -> None:
        """Ends the pause."""
        with self._lock:
            self._holds = False
            self._changed.notify_all()

    def complete(self) -> bool:
        """Returns whether no worker that serves can run a task: each stays here, is parked, or is stuck in a check, after which
        it ends."""
        with self._lock:
            return all(
                worker.state is WorkerState.PARKED or (worker.state is WorkerState.STUCK and not worker.overdue)
                for worker in self._serving - self._staying
            )

    def renew_lock(self) -> None:
        """Replaces the lock in a forked child, in which it may be held by a thread that does not exist."""
        self._lock, self._changed = monitor()
