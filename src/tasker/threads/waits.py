"""WaitRegistry: records the waits of this manager's workers, for the search for deadlocks (``control.deadlock``).

A worker enters its wait and goes to sleep. The supervisor's thread judges the waits, once it has handled every event
that was reported before: a task may resize its manager and then wait. A wait that would never end is refused by waking
its worker with the error.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from tasker.control.deadlock import Need
from tasker.control.events import Seat, Wakeup
from tasker.control.workers import WorkerState
from tasker.core.ports import WaitsPort
from tasker.core.waits import WaitSearch
from tasker.errors import DeadlockError

from .future_log import Callback, Waiter
from .loop_waits import BridgeToLoop, CallbackOfLoop, LoopWait, destination_of
from .this_thread import RunningWorker, this_thread


class BlockingWait(Protocol):
    """A wait of a worker's thread. Its methods are called by the supervisor's thread, and must not block."""

    def need(self) -> Need[Any] | None:
        """Returns what has to happen for it to end; None if it is over, or something else may end it."""
        ...

    @property
    def refuse(self) -> Callable[[DeadlockError], object]:
        """Has it raise the error. Harmless if it is over."""
        ...


class EngineOfWorkers(WaitsPort, Protocol):
    """The part of the engine that the search for deadlocks uses."""

    @property
    def workers(self) -> dict[Seat, Any]: ...


class WaitRegistry(WaitSearch[Seat]):
    """Records which worker of a manager waits, without a limit, for what. Thread-safe."""

    _engine: EngineOfWorkers

    def __init__(self, engine: EngineOfWorkers) -> None:
        super().__init__(engine)
        # Reentrant: a signal handler or a finalizer may end or begin a wait in the middle of this.
        self._lock = threading.RLock()
        self._waits: dict[Seat, BlockingWait] = {}
        """In the order in which they began."""
        self._loops: dict[Seat, LoopWait] = {}
        """The workers whose task runs an event loop that has awaited tasks of this manager."""
        self._refused: list[tuple[BlockingWait, DeadlockError]] = []

    # -- in the threads of workers --------------------------------------------------------------------------------

    def enter(self, wait: BlockingWait) -> Seat | None:
        """Announces a wait of this thread without a limit. Returns a ticket for ``leave``, or None if the thread is not
        a worker of this manager. Raises ``DeadlockError`` if it is one that does not serve, and in a forked child."""
        worker = self._waiting_worker(wait)
        if worker is None:
            return None
        if worker.overdue:  # its task has its outcome, so it does not matter what it waits for
            return None
        # The worker's own state: the supervisor's is a little behind.
        if worker.state is not WorkerState.READY:
            raise DeadlockError(f"on_create or on_destroy of worker {worker.name} waits for {wait} of its own manager")
        view = self._engine.view
        with self._lock:
            self._waits[worker.seat] = wait
            # Of copies, each made in one step: other workers change ``_loops`` without the lock.
            waiting = len({*self._waits.copy(), *self._loops.copy()})
        # The view may be a little behind. Where it shows too many workers, what reduces their number is an event, after
        # which the waits are judged in any case.
        if waiting >= view.ready + view.starting:
            self._engine.report(Wakeup())
        return worker.seat

    def enter_future(self, future: Any, waiter: Waiter) -> Seat | None:
        """As ``enter``, for a task that is waited for with ``waiter``."""
        worker = self._waiting_worker(future)
        if worker is None:
            return None
        if worker.shard.future is future:
            raise DeadlockError(f"{future} waits for itself")
        return self.enter(FutureWait(future, waiter))

    def enter_group(
        self, futures: set[Any], refuse: Callable[[DeadlockError], object], *, first: bool = False
    ) -> Seat | None:
        """As ``enter``, for tasks of this manager: waits for the ``first``, or for all. The set may change.
        ``refuse`` is called with the error, in another thread, if the wait would never end."""
        return self.enter(GroupWait(futures, refuse, first))

    def callback(self, future: Any, fn: Callable[[Any], object]) -> Callback:
        """Makes the watcher for a callback that this thread adds. One by which a loop in a worker awaits the task counts
        as a wait of that worker."""
        destination = destination_of(fn)
        if destination is None:
            return Callback(fn)
        worker = self.own_worker()
        if worker is None:
            return CallbackOfLoop(fn)
        bridge, loop = BridgeToLoop(future, fn, destination), destination.get_loop()
        # Without the lock: callbacks may be added in finalizers. Each step on the dict is atomic.
        wait = self._loops.get(worker.seat)
        if wait is None or wait.loop is not loop:
            wait = self._loops[worker.seat] = LoopWait(loop, threading.get_ident())
        wait.add(bridge)
        return bridge

    def renew_lock(self) -> None:
        """Replaces the lock in a forked child, in which it may be held by a thread that does not exist."""
        self._lock = threading.RLock()

    def leave(self, ticket: object) -> None:
        """Withdraws the announcement of a wait."""
        with self._lock:
            self._waits.pop(ticket, None)  # type: ignore[call-overload]

    def _waiting_worker(self, awaited: object) -> RunningWorker | None:
        if self._engine.is_forked:
            raise DeadlockError(f"the wait for {awaited} would never end: {self._engine.refusal}")
        return self.own_worker()

    def own_worker(self) -> RunningWorker | None:
        """Returns the worker whose thread this is, or None if it is none of this manager."""
        worker = this_thread.worker
        return worker if worker is not None and worker.engine is self._engine else None

    # -- in the supervisor's thread -------------------------------------------------------------------------------

    def judge(self, now: float, *, tick: bool) -> None:
        """See ``JudgedWaits``."""
        if not self._waits and not self._loops:
            return
        # Under the lock: a worker that is found waiting cannot go on to its next task meanwhile.
        with self._lock:
            needs = self._needs()
            running = {self._engine.workers[seat].shard.future: seat for seat in needs}
            self.settle(needs, running, now)
            if self._loops and self._engine.view.ready <= len(needs):
                self._judge_hooks()
        # Outside of the lock: to wake a worker may take a lock of its wait.
        refused, self._refused = self._refused, []
        for wait, error in refused:
            wait.refuse(error)

    def waiting(self) -> int:
        """Returns the number of workers whose wait is not over."""
        with self._lock:
            return len(self._needs())

    def label(self, worker: Seat) -> str:
        """See ``WaitSearch``."""
        waiting = self._engine.workers[worker]
        # In a callback, after the end of the task, there is none.
        return str(waiting.shard.future or f"a callback in worker {waiting.name}")

    def refuse(self, worker: Seat, error: DeadlockError) -> None:
        """See ``WaitSearch``."""
        # A loop may have other waits, which are judged next time.
        wait = self._waits.pop(worker) if worker in self._waits else self._loops[worker]
        self._refused.append((wait, error))

    def _judge_hooks(self) -> None:
        """Refuses the waits of loops that run in ``on_create`` or ``on_destroy``, while no worker serves, unless another
        one is about to."""
        workers, starting = self._engine.workers, self._engine.view.starting
        hooks = []
        for seat, wait in self._loops.copy().items():
            worker = workers.get(seat)
            if worker is not None and worker.state is not WorkerState.READY and (need := wait.need()) is not None:
                hooks.append((worker.name, wait, need.awaited[0]))
                starting -= worker.state is WorkerState.STARTING
        for name, wait, awaited in hooks if starting <= 0 else ():
            text = f"on_create or on_destroy of worker {name} waits for {awaited} of its own manager"
            self._refused.append((wait, DeadlockError(text)))

    def _needs(self) -> dict[Seat, Need[Any]]:
        workers = self._engine.workers
        for seat, loop_wait in self._loops.copy().items():
            if not loop_wait.loop.is_running():
                self._loops.pop(seat, None)
        # A thread that waits in a callback of its loop waits for that alone.
        waits: dict[Seat, BlockingWait] = {**self._loops, **self._waits}
        serving = [seat for seat in waits if seat in workers and workers[seat].state is WorkerState.READY]
        needs = {seat: waits[seat].need() for seat in serving}
        return {seat: need for seat, need in needs.items() if need is not None}


class FutureWait:
    """A wait for the outcome of one task."""

    __slots__ = ("_future", "_waiter")

    def __init__(self, future: Any, waiter: Waiter) -> None:
        self._future = future
        self._waiter = waiter

    def need(self) -> Need[Any] | None:
        """See ``BlockingWait``."""
        return None if self._future.done() else Need((self._future,))

    def refuse(self, error: DeadlockError) -> None:
        """See ``BlockingWait``."""
        self._waiter.error = error
        self._waiter.wake()

    def __repr__(self) -> str:
        return str(self._future)


class GroupWait:
    """A wait for the first or for all of several tasks."""

    __slots__ = ("_first", "_futures", "refuse")

    def __init__(self, futures: set[Any], refuse: Callable[[DeadlockError], object], first: bool) -> None:
        self._futures = futures
        self._first = first
        self.refuse: Callable[[DeadlockError], object] = refuse
        """See ``BlockingWait``."""

    def need(self) -> Need[Any] | None:
        """See ``BlockingWait``."""
        futures = self._futures.copy()  # one step: other threads may change the set meanwhile
        awaited = tuple(future for future in futures if not future.done())
        if not awaited or (self._first and len(awaited) < len(futures)):
            return None
        return Need(awaited, self._first)

    def __repr__(self) -> str:
        return f"{'the first' if self._first else 'all'} of {len(self._futures)} tasks"
