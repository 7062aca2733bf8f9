"""TaskManager: the threaded face."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from contextvars import copy_context
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple, Unpack

from .config import Config
from .context import Context
from .control.journal import ScalingExplanation
from .core.checks import check_look_ahead, check_timeout
from .core.signals import Received
from .errors import ConfigError, ShutdownError
from .metrics.protocol import TaskMetrics
from .options import Priority, QueueOptions, TaskOptions, spells_out
from .stats import StopReport, TaskStats
from .threads.executor import ManagerExecutor
from .threads.future import TaskFuture
from .threads.future_log import LATE, PENDING, UNOPENED, Callback, Ending
from .threads.interpreter_exit import register
from .threads.mapping import as_completed, in_order
from .threads.signals import stop_on_signals

if TYPE_CHECKING:
    from .threads.engine import Engine, ThreadsBackendPort

R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
Ts = TypeVarTuple("Ts")

_NORMAL = Priority.NORMAL


class TaskManager(Generic[R]):
    """Runs tasks over a pool of threads, each of which owns a resource.

    A task is ``task(ctx, resource, *args)``. All methods are thread-safe. Use it as a context manager: leaving it
    stops gracefully; leaving it by an exception kills.

    Raises ``ResourceError`` if the pool of ``run_task`` (``Config.resource_pool_size``) can't be made.
    """

    def __init__(self, config: Config[R]) -> None:
        if not isinstance(config, Config):
            raise ConfigError(f"TaskManager takes a Config, got {config!r}")
        # Not with this module: most of the library is behind it, and takes longer to import than all that is in front.
        from .threads.engine import Engine  # noqa: PLC0415

        engine = Engine(config, _backend_of(config))
        engine.start()
        self._engine = engine
        self._config = config
        self._numbers = iter(engine.counters.numbers)
        self._normal = engine.queue.levels[_NORMAL]
        self._put_token = engine.queue.tokens.put
        register(engine)

    # -- tasks ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        priority: Priority = _NORMAL,
        once: bool = False,
        callback: Callable[[T | None, BaseException | None], object] | None = None,
        block: bool = True,
        queue_timeout: float | None = None,
    ) -> TaskFuture[T]:
        """Queues ``task(ctx, resource, *args)`` and returns its future at once.

        ``priority``: started before all of lower priority; in the order of submission inside one.
        ``once``: never started a second time, even if the resource was at fault.
        ``callback(result, error)``: called exactly once, in the worker's thread; what it raises is logged.
        ``block``, ``queue_timeout``: with ``Config.max_queue_size``, whether and for how many seconds to wait for a
        place; ``QueueFull`` otherwise.

        Raises ``ShutdownError`` when the manager takes no more tasks; with a ``callback`` that gets the error
        instead, and the returned future has failed.
        """
        # Ctrl-C may raise KeyboardInterrupt in here. CPython looks for signals when a call returns or a loop turns; so
        # nothing can come between the number and its name in ``for ... break``, nor from ``+=`` up to the end of
        # ``_put_token``: either the task is queued with its token, or its number is given back.
        engine = self._engine
        level = self._normal if priority is _NORMAL else engine.level(priority)
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, got {callback!r}")
        place = None
        number = 0
        try:
            if engine.must_admit:
                place = engine.slot_wait()
                engine.admit(place, block, queue_timeout)
            try:
                for number in self._numbers:  # noqa: B007
                    break
            except IndexError:
                number = engine.counters.numbers.more()
            future: TaskFuture[T] = TaskFuture()  # and its fields, as ``_accepted`` sets them
            future._owner = engine
            future.id = number
            future._task = task
            future._args = args
            future._variables = copy_context() or None
            future._queued_at = monotonic()
            future._log = UNOPENED if LATE else []
            future._kind = PENDING
            future._attempts = 0
            if once:
                future._once = True
            if place is not None:
                future._holds_slot = True
            if callback is not None:
                future._log = [Callback(_with_outcome(callback))]  # as ``add_done_callback``; nobody else knows it yet
            level += (future,)
            number, place = 0, None
            self._put_token(None)
        except BaseException as error:
            engine.unsubmitted(number, place)
            if callback is not None and isinstance(error, ShutdownError):
                return _refused(engine, task, callback, error)
            raise
        if engine.must_follow_up and engine.follow_up(future, priority) and callback is None:
            raise engine.shutdown_error()
        return future

    @spells_out(QueueOptions)
    def queue_task(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        **options: Unpack[QueueOptions],
    ) -> T:
        """Submits the task with the options of ``submit``, waits for the result and returns it.

        Raises what ``submit`` and the task raise; ``DeadlockError`` in a task of this manager if every worker waits.
        """
        return self.submit(task, *args, **options).result()

    def run_task(self, task: Callable[[Context, R, *Ts], T], *args: *Ts) -> T:
        """Runs the task now, in this thread, past the queue, and returns its result.

        It gets an idle resource of the pool (``Config.resource_pool_size``), or a temporary one that is destroyed
        afterwards. It is not retried; an unhealthy error destroys the resource.

        Raises what the task raises; ``ResourceError`` if there is no resource and none can be made, or
        ``Config.max_temporary_resources`` are in use; ``ShutdownError``.
        """
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        return self._engine.run_task.run(task, args)  # type: ignore[no-any-return]

    @spells_out(TaskOptions)
    def map(
        self,
        task: Callable[[Context, R, A], T],
        inputs: Iterable[A],
        *,
        ordered: bool = True,
        look_ahead: int | None = None,
        **options: Unpack[TaskOptions],
    ) -> Iterator[T]:
        """Yields ``task(ctx, resource, item)`` for each item, in the order of the inputs, or as they end.

        Lazy: at most ``look_ahead`` inputs (default: 1,000) are read and submitted ahead of what was yielded, so the
        inputs may be endless. The first task that fails raises here, at its place; then, and when the iterator is
        closed, what has not started is cancelled. Nothing is submitted before the first ``next``.
        """
        look_ahead = check_look_ahead(look_ahead)
        iter(inputs)

        def submit(item: A) -> TaskFuture[T]:
            return self.submit(task, item, **options)

        if ordered:
            return in_order(submit, inputs, look_ahead)
        return as_completed(submit, inputs, look_ahead, self._engine.waits)

    @spells_out(TaskOptions)
    def as_executor(self, **options: Unpack[TaskOptions]) -> Executor:
        """This manager as a ``concurrent.futures.Executor`` whose callables need no resource; its ``shutdown`` closes
        the view and waits for what came through it, not for the manager."""
        return ManagerExecutor(self.submit, self._engine.waits, options)

    # -- the end --------------------------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None) -> StopReport:
        """Takes no more tasks, runs all that were accepted, destroys the resources, and returns when all that is
        done.

        After ``timeout`` seconds it becomes a ``kill``, and returns. A second call waits for the first.
        Raises ``DeadlockError`` inside a task or callback of this manager.
        """
        check_timeout(timeout)
        return self._end("stop", None if timeout == math.inf else timeout)

    def kill(self, timeout: float | None = None) -> StopReport:
        """Takes no more tasks, ends the queued ones with ``TaskKilled``, cancels the contexts of those that run,
        waits ``timeout`` seconds (default: ``Config.cancel_grace``) for them, destroys the resources, and returns.

        A thread stuck in user code can't be ended: its task ends with ``TaskKilled``, it is counted as abandoned and
        named in the report; should it return, its resource is destroyed then. A kill during a stop ends that.
        Raises ``DeadlockError`` inside a task or callback of this manager.
        """
        check_timeout(timeout)
        return self._end("kill", self._config.cancel_grace if timeout is None else timeout)

    def _end(self, what: str, timeout: float | None) -> StopReport:
        engine = self._engine
        if engine.is_forked:
            return StopReport(killed=False, killed_tasks=0, abandoned=(), seconds=0.0)
        from .threads.reentrancy import forbid_reentry  # noqa: PLC0415  as the engine

        forbid_reentry(engine, what)
        return engine.end(what == "kill", f"{what}() was called", timeout)

    def stop_on_signals(self, *signums: int) -> AbstractContextManager[Received]:
        """While in this context manager, the first SIGTERM or SIGINT (or of ``signums``) begins a graceful stop, the
        second kills. The handlers return at once; ``submit`` then raises ``ShutdownError``, and leaving the manager
        waits.

        Main thread only (``ValueError``); the former handlers are put back at the end.
        """
        return stop_on_signals(self._engine, signums)

    def resize(self, *, worker_count: int | None = None, max_worker_count: int | None = None) -> None:
        """Changes the bounds of the number of workers; what is not given stays. Surplus workers end once idle.

        Raises ``ConfigError`` for a bad value.
        """
        self._engine.resize(worker_count, max_worker_count)

    def __enter__(self) -> TaskManager[R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
            return
        try:
            self.stop()
        except BaseException:  # Ctrl-C: whoever is impatient now does not want to wait at the exit again
            self.kill()
            raise

    def __del__(self) -> None:
        engine: Engine | None = getattr(self, "_engine", None)
        if engine is None or engine.door:
            return
        engine.request_kill("it was collected without stop()", engine.config.cancel_grace)
        warnings.warn(f"{self!r} was collected without stop() or kill()", ResourceWarning, stacklevel=1, source=self)

    # -- what it shows --------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """``Config.name``."""
        return self._config.name

    @property
    def config(self) -> Config[R]:
        """The configuration it was made with."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether it takes no more tasks."""
        return self._engine.closed

    def stats(self) -> TaskStats:
        """Workers, tasks and resources at this moment; true at every moment. Costs O(workers)."""
        from .core.report import stats_of  # noqa: PLC0415  as the engine

        return stats_of(self._engine)

    def metrics(self) -> TaskMetrics:
        """Times, rates and totals of the tasks so far. Costs O(workers). With ``Config.collector``, its
        ``metrics()``."""
        from .core.report import metrics_of  # noqa: PLC0415  as the engine

        return metrics_of(self._engine)

    def explain(self) -> ScalingExplanation:
        """Why there are as many workers as there are: what the scaling policy said last, and the last 32 changes, each
        with what it was decided on. ``str()`` of it is for people."""
        from .core.report import explained  # noqa: PLC0415  as the engine

        return explained(self._engine.view)

    def __repr__(self) -> str:
        return f"<TaskManager {self._config.name!r} {self._engine.view.phase.value}>"


def _backend_of(config: Config[Any]) -> Callable[[Engine], ThreadsBackendPort] | None:
    if config.backend is None:
        return None
    from .remote.threads_backend import ThreadsBackend  # noqa: PLC0415  what it needs comes with an extra

    return ThreadsBackend


def _with_outcome(callback: Callable[[Any, BaseException | None], object]) -> Callable[[TaskFuture[Any]], object]:
    def tell(future: TaskFuture[Any]) -> object:
        error = future._error
        return callback(future._value if error is None else None, error)

    return tell


def _refused(
    engine: Engine,
    task: Callable[..., Any],
    callback: Callable[[Any, BaseException | None], object],
    error: ShutdownError,
) -> TaskFuture[Any]:
    """The failed future of a task that was not accepted, its callback called."""
    future: TaskFuture[Any] = TaskFuture._accepted(engine, 0, task, (), monotonic())
    future._log = [Callback(_with_outcome(callback))]
    future._end(Ending(error, forced=True))
    return future
