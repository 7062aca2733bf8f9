"""What windows, hosts and backends use of an engine.

Narrow on purpose: a backend does not depend on whatever is not named here. ``Any`` stands where the two engines differ
(futures, queues, workers, handles).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.core.counters import Counters
from tasker.core.hooks import Hooks
from tasker.core.limits import TimeLimits
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import MetricsCollector
from tasker.stats import ShutdownCounts

if TYPE_CHECKING:
    import asyncio
    import threading


class InlineEngine(Protocol):
    """What a session of ``run_task`` uses."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def run_task_root(self) -> Context:
        """The ancestor of the contexts of ``run_task``."""
        ...


class WindowEngine(Protocol):
    """What a window uses."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def root(self) -> Context:
        """The ancestor of the contexts of all tasks but those of ``run_task``."""
        ...

    @property
    def door(self) -> Door: ...
    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def barred(self) -> bool:
        """Whether no task may start now."""
        ...

    @property
    def queue(self) -> Any:
        """Where tasks come from, and go back to."""
        ...

    @property
    def queue_slots(self) -> object | None:
        """The bound of the queue, if it has one."""
        ...

    @property
    def workers(self) -> Mapping[ev.Seat, Any]: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def shutdown_counts(self) -> ShutdownCounts: ...
    @property
    def collector(self) -> MetricsCollector | None: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def log(self) -> GuardedLogger: ...
    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor."""

    def check_drained(self) -> None:
        """Has the supervisor look whether anything is still outstanding."""

    @property
    def limits(self) -> TimeLimits:
        """The time limits of tasks."""
        ...

    def fail_queued(self, task: Any, error: BaseException) -> None:
        """Ends a task that waits with an error."""

    def release_slot(self, future: Any) -> None:
        """Frees the slot of a task that waits no longer."""

    def drop(self, future: Any) -> None:
        """Ends a task that is not running as killed."""

    def soon(self, call: Callable[[], None]) -> None:
        """Makes a call soon, between two events that the supervisor handles."""


class ThreadsWindowEngine(WindowEngine, Protocol):
    """What the window of a thread uses."""

    def ended_in_queue(self, future: Any, ending: Any) -> None:
        """Counts a task that has ended while no attempt ran."""


class RemotePool(Protocol):
    """The pool of ``run_task``, as far as its resources may die."""

    def lost(self, handle: Any) -> bool:
        """Notes that a resource is gone. True if it was idle: then the pool lacks one now."""
        ...


class BackendEngine(WindowEngine, Protocol):
    """What a backend and its hosts use."""

    @property
    def run_task_root(self) -> Context:
        """The ancestor of the contexts of ``run_task``."""
        ...

    @property
    def pool(self) -> RemotePool: ...
    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor."""


class ThreadsBackendEngine(BackendEngine, ThreadsWindowEngine, Protocol):
    """What a backend uses of an engine of threads."""

    @property
    def help(self) -> Callable[[Callable[[], None], str, str], threading.Thread]:
        """Starts a thread that a stop waits for, with a name, and one for what it does in messages."""
        ...


class LoopBackendEngine(BackendEngine, Protocol):
    """What a backend and its hosts use in an event loop."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def torn_down(self) -> bool:
        """Whether the loop is gone: nothing can be awaited any more."""
        ...

    def ended_in_queue(self, future: Any) -> None:
        """Counts a task that has ended while no attempt ran."""
