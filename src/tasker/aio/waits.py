"""AsyncWaitRegistry: finds the waits of this manager's workers, for the search for deadlocks (``control.deadlock``).

The runner of a task announces it at once if the task directly awaits a future of its own manager. All other ways to wait
(``gather``, ``shield``, a ``TaskGroup``, ...) are looked for while the waits are judged: at each tick, and whenever the
directly waiting workers are as many as there are. Nothing about them is kept, because what a task waits for changes
without notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Any, Protocol

from tasker.control.deadlock import Need
from tasker.core.ports import WaitsPort
from tasker.core.waits import WaitSearch
from tasker.errors import DeadlockError

from .future import AsyncTaskFuture
from .queue_slots import AnnouncedWait
from .timers import timed_by
from .wait_detection import BlockedOn, WaitAnalysis
from .wait_refusal import refuse_wait

_MOST_QUEUED = 10_000
"""How many queued futures of each level are looked at for the callbacks of ``as_completed``."""


class WaitingWorker(Protocol):
    """The part of a worker that the search for deadlocks uses."""

    waits: bool

    @property
    def waited(self) -> Any: ...
    @property
    def shard(self) -> Any: ...
    @property
    def task(self) -> asyncio.Task[None]: ...
    @property
    def suspended(self) -> Any:
        """The awaitable of its task that is suspended, or None."""
        ...


class EngineOfWaits(WaitsPort, Protocol):
    """The part of an engine that the search for deadlocks uses."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def levels(self) -> Sequence[Sequence[Any]]: ...
    @property
    def workers(self) -> dict[Any, Any]: ...


class AsyncWaitRegistry(WaitSearch[WaitingWorker]):
    """Knows which worker of a manager waits, without a limit, for what."""

    _engine: EngineOfWaits

    def __init__(self, engine: EngineOfWaits) -> None:
        super().__init__(engine)
        self._direct: dict[WaitingWorker, None] = {}
        """The workers whose task directly awaits a future of this manager, in the order in which they began."""
        self._refused: set[WaitingWorker] = set()
        """Those that will get an error as soon as the loop comes to them."""
        self._entering: WaitingWorker | None = None
        self._error: DeadlockError | None = None

    def enter(self, worker: WaitingWorker, awaited: Any) -> None:
        """Announces a wait of a worker's task. Raises ``DeadlockError`` if it would never end."""
        if awaited is worker.shard.future:
            raise DeadlockError(f"{awaited} waits for itself")
        self._refused.discard(worker)
        self._direct.pop(worker, None)
        self._direct[worker] = None
        worker.waits = True
        view = self._engine.view
        if len(self._direct) < view.ready + view.starting:
            return
        self._entering = worker
        try:
            self.judge(monotonic(), tick=False)
        finally:
            self._entering = None
        error, self._error = self._error, None
        if error is not None:
            # The loop's task would reset it, but does not get the future now.
            awaited._asyncio_future_blocking = False
            raise error

    def leave(self, worker: WaitingWorker) -> None:
        """Withdraws the announcement of a wait."""
        worker.waits = False
        self._direct.pop(worker, None)
        self._refused.discard(worker)

    def waiting(self) -> int:
        """Returns how many workers wait for something that has not happened."""
        return len(self._blocked())

    def judge(self, now: float, *, tick: bool) -> None:
        """See ``JudgedWaits``."""
        # A search costs O(workers), and events may come thick and fast.
        if not tick and not 0 < len(self._direct) >= self._engine.view.ready:
            return
        blocked = self._blocked()
        needs = {worker: Need(tuple(sorted(on.own, key=id)), any=True) for worker, on in blocked.items()}
        running = {worker.shard.future: worker for worker in needs}
        # Only now, because to look for timers takes long.
        if self.would_hang(needs, running):
            timed = self._timed(blocked)
            needs = {worker: need for worker, need in needs.items() if worker not in timed}
        self.settle(needs, running, now)

    def label(self, worker: WaitingWorker) -> str:
        """See ``WaitSearch``."""
        return str(worker.shard.future)

    def refuse(self, worker: WaitingWorker, error: DeadlockError) -> None:
        """See ``WaitSearch``."""
        self._direct.pop(worker, None)
        if worker is self._entering:
            self._error = error
        else:
            self._refused.add(worker)
            worker.waits = True  # so that ``leave`` is called
            refuse_wait(worker.task, worker.waited, error)

    def _blocked(self) -> dict[WaitingWorker, BlockedOn]:
        """Returns the blocked workers; those that began to wait last, as far as that is known, come last."""
        workers = self._engine.workers.values()
        analysis = WaitAnalysis(self._engine.loop, self._is_own, self._own_futures)
        others = [worker for worker in workers if worker not in self._direct]
        blocked: dict[WaitingWorker, BlockedOn] = {}
        for worker in (*others, *self._direct):
            # A cancellation that is on its way ends the wait too.
            if worker.waited is None or worker in self._refused or worker.task.cancelling():
                continue
            on = analysis.of_task(worker.task, worker.waited, worker.suspended)
            if on is not None:
                blocked[worker] = on
        return blocked

    def _timed(self, blocked: dict[WaitingWorker, BlockedOn]) -> set[WaitingWorker]:
        """Returns those of the workers whose wait a timer may end."""
        timed = timed_by(self._engine.loop)
        if timed is None:
            return set(blocked)
        return {worker for worker, on in blocked.items() if any(id(one) in timed for one in on.through)}

    def _own_futures(self) -> list[Any]:
        """Returns the futures of running tasks, and of the queued ones that were accepted last."""
        running = [worker.shard.future for worker in self._engine.workers.values()]
        queued = [future for level in self._engine.levels for future in islice(reversed(level), _MOST_QUEUED)]
        return [future for future in (*running, *queued) if future is not None]

    def _is_own(self, future: Any) -> bool:
        return isinstance(future, AsyncTaskFuture | AnnouncedWait) and future._engine is self._engine
