"""How a worker with an outdated resource learns that it has to renew it.

A busy one looks after its task (``alert`` in ``worker_loop``). An idle one sleeps in one queue of tokens with the others, and
cannot be woken by name. So a ``CALL`` is put there: a worker that takes it, and is not meant, passes it on and stands aside for a
moment.

Rejected: a look at the worker before each task, which all tasks would pay for; a queue of tokens for each worker.
"""

from __future__ import annotations

from typing import Protocol

from tasker.control.workers import WorkerState
from tasker.core.counters import Shard
from tasker.core.monitor import monitor

from .hold import TaskHold
from .queue import CALL, TaskQueue

_ASIDE = 0.01
"""Seconds. As long as a worker stands aside, it serves no task; the one that is meant may have taken one meanwhile."""


class CalledWorker(Protocol):
    """The part of a worker that is used here."""

    outdated: bool

    @property
    def tends(self) -> bool: ...
    @property
    def state(self) -> WorkerState: ...
    @property
    def shard(self) -> Shard: ...


class Renewals:
    """The workers of one engine that were called and have not left. Thread-safe."""

    def __init__(self, queue: TaskQueue, hold: TaskHold) -> None:
        self._queue = queue
        self._hold = hold
        self._called: dict[CalledWorker, None] = {}
        self._renew_lock()

    def __bool__(self) -> bool:
        return bool(self._called)

    # -- in the supervisor's thread -------------------------------------------------------------------------------

    def call(self, worker: CalledWorker) -> None:
        """Has a worker leave. ``alert`` is to be set before."""
        with self._lock:
            self._called[worker] = None
        worker.outdated = True
        self._hold.look()  # it may wait for the end of a pause
        # The worker clears ``shard.future``, then looks at ``alert``, then waits; or clears ``tends``, then looks at ``outdated``.
        # So one that is busy here will look.
        if is_idle(worker):
            self._queue.orders_first(CALL, 1)

    def remind(self) -> None:
        """Wakes those that are idle all the same. To be repeated now and then: a worker may have been about to wait when it
        was called, and one that is struck by an asynchronous exception may have taken a token with it."""
        with self._lock:
            # A worker may have left just before it was called.
            for worker in list(filter(is_ending, self._called)):
                del self._called[worker]
            idle = sum(map(is_idle, self._called))
        if idle:
            # Not so many more: one that is idle for something that is not known here would find the queue full of calls, each
            # of which has every other worker stand aside.
            self._queue.orders_first(CALL, least=idle)

    # -- in the threads of workers --------------------------------------------------------------------------------

    def answer(self, worker: CalledWorker) -> bool:
        """A worker has taken a ``CALL``. Returns whether it is meant, and has to leave."""
        if worker.outdated:
            return True
        with self._lock:
            # Dropped, where no worker waits for it: those that are busy look by themselves.
            if any(map(is_idle, self._called)):
                self._queue.tokens.put(CALL)
                self._left.wait(_ASIDE)
        return False

    def left(self, worker: CalledWorker) -> None:
        """A worker serves no more."""
        with self._lock:
            if worker in self._called:
                del self._called[worker]
                self._left.notify_all()

    def forked(self) -> None:
        """In a forked child, where the lock may be held by a thread that does not exist."""
        self._renew_lock()
        self._hold.renew_lock()

    def _renew_lock(self) -> None:
        self._lock, self._left = monitor()


def is_idle(worker: CalledWorker) -> bool:
    """Returns whether it waits for a token, or is about to."""
    return worker.shard.future is None and worker.state is WorkerState.READY and not worker.tends


def is_ending(worker: CalledWorker) -> bool:
    """Returns whether it serves no more."""
    return worker.state is WorkerState.ENDING
