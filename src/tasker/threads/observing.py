"""Observing: the half of ``TaskManager`` that shows what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from tasker.config import Config
from tasker.control.journal import ScalingExplanation
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import TaskStats, WorkerStatus

if TYPE_CHECKING:
    from tasker.control.notices import ManagerEvent
    from tasker.live import LiveView

    from .engine import Engine
    from .subscription import Subscription

R = TypeVar("R")


class Observing(Generic[R]):
    """Shows. Not public: ``TaskManager`` is."""

    _config: Config[R]
    _engine: Engine

    @property
    def name(self) -> str:
        """``Config.name``."""
        return self._config.name

    @property
    def config(self) -> Config[R]:
        """The configuration that the manager was made with."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether the manager accepts no more tasks."""
        return self._engine.closed

    def stats(self) -> TaskStats:
        """Returns the numbers of workers, tasks and resources at this moment, consistent with each other. Costs
        O(workers)."""
        from .methods import stats_of  # noqa: PLC0415  loaded with the engine

        return stats_of(self._engine)

    def metrics(self) -> TaskMetrics:
        """Returns the times, rates and totals of the tasks so far, or what ``Config.collector`` returns. Costs
        O(workers)."""
        from .methods import metrics_of  # noqa: PLC0415  loaded with the engine

        return metrics_of(self._engine)

    def workers(self, *, arguments: bool = False) -> tuple[WorkerStatus, ...]:
        """Returns what each worker does at this moment, by slot. ``arguments``: with a short ``repr`` of the arguments of its
        task, which is made in this thread. Costs O(workers). Thread-safe."""
        from .methods import workers_of  # noqa: PLC0415  loaded with the engine

        return workers_of(self._engine, arguments=arguments)

    def worker_stack(self, name: str) -> str:
        """Returns where the worker of that name is now, as the lines of a stack or in words; "" if that is not known. Raises
        ``LookupError`` if there is no such worker. Thread-safe; the worker goes on meanwhile. A child process is asked, for up to a
        second; one that does not answer is named by its id."""
        from .methods import PATIENCE, stack_of  # noqa: PLC0415  loaded with the engine

        stack = stack_of(self._engine, name, PATIENCE)
        if stack is None:
            raise LookupError(f"manager {self._config.name!r} has no worker {name!r}")
        return stack

    def explain(self) -> ScalingExplanation:
        """Explains the present number of workers: returns the last decision of the scaling policy and the last 32
        changes, each with the figures that it was based on. ``str()`` of it is meant for people."""
        from .methods import explained  # noqa: PLC0415  loaded with the engine

        engine = self._engine
        return explained(engine.view, engine.now(), engine.workers.values(), engine.quarantine.labels)

    def events(
        self,
        callback: Callable[[Any], object] | None = None,
        *,
        kinds: type[ManagerEvent] | tuple[type[ManagerEvent], ...] | None = None,
        most: int = 1000,
    ) -> Subscription:
        """Subscribes to what happens from now on to the workers, to tasks that fail and to the manager: see ``tasker.events``.
        What it returns is an iterator, which waits for each next event, and a context manager, which ends the subscription.

        ``callback(event)``: called with each event, in a thread of its own; then there is nothing to iterate over. An error that
        it raises is logged and counted.
        ``kinds``: the classes of the events that are wanted, their subclasses included; None: all. ``StopEnded`` always comes.
        ``most``: how many events wait for a slow subscriber before the oldest ones are dropped, and counted in ``dropped``: a
        subscriber never slows the pool.

        The last event is ``StopEnded``; the subscription of a manager that has ended has no events. Raises ``TypeError`` or
        ``ValueError`` for a wrong argument. Thread-safe.
        """
        from .methods import ManagerEvent, Subscription  # noqa: PLC0415  loaded with the engine

        return Subscription(self._engine, callback, ManagerEvent if kinds is None else kinds, most)

    def live(self, *, file: TextIO | None = None, interval: float | None = None, arguments: bool = False) -> LiveView:
        """Shows in the terminal what the manager does, from now on: queue, rates, how long tasks wait and take, each worker with its
        task, the last failures and decisions. Returns at once; what it returns is a context manager, which ends the view at the
        end of its block. It ends by itself once the manager has. What the program prints meanwhile appears above it.

        ``file``: where to; None: ``sys.stdout``. If it is not a terminal, or one that can't move its cursor, lines are written.
        ``interval``: the seconds between two drawings (None: 0.5), or between two lines (None: 5).
        ``arguments``: whether the arguments of running tasks are shown, shortened.

        It is drawn by a thread of its own from readings of the manager; nothing is added to a task. Raises ``ConfigError`` if rich
        is missing (``pip install 'tasker-pool[cli]'``), ``RuntimeError`` if there is a live view on the terminal already, and
        ``TypeError`` or ``ValueError`` for a wrong argument. Thread-safe.
        """
        from tasker.live import live  # noqa: PLC0415  what it needs comes with an extra

        return live(self, file=file, interval=interval, arguments=arguments)
