"""Driver: what carrying out the supervisor's actions needs of an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from tasker.attempt import Quarantined
from tasker.control.attempts import Verdict
from tasker.control.events import Event, Seat
from tasker.control.retry_budget import Loan
from tasker.control.supervisor import Supervisor
from tasker.core.counters import Counters
from tasker.core.hooks import Hooks
from tasker.core.pool_probing import PoolProber
from tasker.core.ports import AgingPool, RemoteBackend
from tasker.core.quarantine import QuarantineRecord
from tasker.core.refreshes import Refreshes
from tasker.errors import TaskKilled
from tasker.logs import GuardedLogger
from tasker.options import Priority
from tasker.stats import ShutdownCounts


class Signal(Protocol):
    """A flag, of threads or of a loop."""

    def set(self) -> None: ...


class Driver(Protocol):
    """What carrying out actions needs of an engine. Tasks are the engine's own futures, given as they came."""

    creation_error: BaseException | None
    """The last error of ``on_create``."""

    @property
    def counters(self) -> Counters: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def backend(self) -> RemoteBackend | None: ...
    @property
    def workers(self) -> dict[Seat, Any]: ...
    @property
    def supervisor(self) -> Supervisor: ...
    @property
    def shutdown_counts(self) -> ShutdownCounts: ...
    @property
    def refreshes(self) -> Refreshes: ...
    @property
    def pool(self) -> AgingPool: ...
    @property
    def prober(self) -> PoolProber[Any]:
        """Checks idle resources of that pool."""
        ...

    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def refusal(self) -> str:
        """Why no task is accepted any more."""
        ...

    def max_retries_of(self, task: Any) -> int:
        """Returns how many times a task may be started again."""
        ...

    @property
    def quarantine(self) -> QuarantineRecord: ...

    # Workers.
    def start_worker(self, seat: Seat) -> None:
        """Starts a worker."""

    def retire(self, count: int) -> None:
        """Lets ``count`` idle workers end."""

    def park(self, count: int) -> None:
        """Has so many workers in all be parked, and the others serve. A worker reports ``WorkerParked`` and, later,
        ``WorkerUnparked``."""

    def left(self, worker: Any) -> None:
        """A worker was stopped by force and is about to end; the end of the manager waits for it."""

    def hung(self, workers: list[Any]) -> list[Any]:
        """Returns those of some workers that go on although they were ended by force: they are in a callback, which runs
        here. May wait for a moment."""

    # Tasks that an attempt has left behind.
    def claim(self, task: Any) -> BaseException | None:
        """Takes the right to decide about a task whose attempt failed; returns the attempt's error, or None if the
        task was decided already."""

    def remember(self, task: Any, error: BaseException, verdict: Verdict) -> None:
        """Enters the attempt of a claimed task that has just failed into its history, or corrects its verdict there."""

    def returned(self, task: Any) -> bool:
        """Counts a claimed task as queued again. False if it was cancelled in the meantime: then it must not run."""

    def lend(self, task: Any, loan: Loan) -> None:
        """Has a task that is tried again pay back the loan if it succeeds."""

    def enqueue(self, task: Any, priority: Priority) -> None:
        """Puts a task at the end of a level."""

    def fail_returned(self, task: Any, error: BaseException) -> None:
        """Ends a claimed task with an error."""

    def call_of(self, task: Any) -> tuple[Any, tuple[Any, ...]]:
        """Returns the function and the arguments of a claimed task."""
        ...

    def quarantined(self, task: Any, info: Quarantined) -> None:
        """Has ``on_quarantine`` called, without waiting for it."""

    def drop_returned(self, task: Any) -> None:
        """Ends a task whose attempt failed as killed, if it was not decided already."""

    # Tasks that wait.
    def waiting(self) -> Iterable[Any]:
        """Returns the queued tasks, most urgent first."""

    def fail_queued(self, task: Any, error: BaseException) -> None:
        """Ends a queued task with an error."""

    def bar(self) -> None:
        """Lets no task start any more."""

    def take_queued(self, most: int) -> Sequence[Any]:
        """Removes and returns tasks that wait, as many as ``most``; fewer only if no more are left."""
        ...

    def drop(self, task: Any) -> None:
        """Ends a task that is not running as killed."""

    def take_unstarted(self, most: int) -> Sequence[tuple[Any, int]]:
        """Removes and returns queued tasks with their levels, most urgent first, as many as ``most``; fewer only if no more are
        left. Called while no task starts and none comes in."""
        ...

    def hand_back(self, task: Any, priority: Priority) -> None:
        """Ends a task that was taken with ``TaskHandedBack``, and enters it into the report, unless it has its outcome."""

    def hold_tasks(self) -> None:
        """Has no task start; what was sent ahead to a session comes back."""

    def release_tasks(self) -> None:
        """Lets tasks start again."""

    # The end.
    def report(self, event: Event) -> None:
        """Hands an event to the supervisor."""

    def soon(self, call: Callable[[], None]) -> None:
        """Has ``call`` made between two of the next events, whatever else happens."""

    def close(self, reason: str) -> None:
        """Accepts no more tasks."""

    def check_drained(self) -> None:
        """Has the engine look whether anything is still outstanding."""

    def cancel_running(self) -> None:
        """Cancels the contexts of the running tasks."""

    def abandon(self, task: Any, error: TaskKilled) -> bool:
        """Ends a running task whose worker is left behind. True if that is its outcome."""

    def abandon_callbacks(self) -> list[str]:
        """Stops waiting for callbacks; returns which were still running."""

    def refill_pool(self) -> None:
        """Makes one resource for the pool of ``run_task``."""

    def renew_pool(self) -> None:
        """Makes a resource in place of an idle outdated one of that pool, if there is one; reports ``PoolRenewed``."""

    def close_pool(self) -> None:
        """Begins to destroy the idle resources of the pool of ``run_task``; reports ``PoolClosed`` in the end."""

    def abandon_pool(self) -> None:
        """Stops waiting for what ``close_pool`` has begun."""

    @property
    def emptied(self) -> Signal:
        """Set once nothing runs any more, so that what is queued has only to be dropped. From here on, nobody waits for the end
        beyond a deadline."""
        ...

    def finish(self) -> None:
        """Releases whatever the engine still holds, and notifies those that wait for its end."""
