"""TaskManager: the public face of the threaded engine."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager
from contextvars import copy_context
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from .config import Config
from .context import Context
from .control.retries import RetryPolicy
from .core.checks import check_look_ahead, check_rare, check_timeout, task_options
from .core.mapping import is_in_memory
from .core.signals import Received
from .errors import ConfigError, ShutdownError
from .options import Priority, QueueOptions, TaskOptions, spells_out
from .stats import StopReport
from .threads.executor import ManagerExecutor
from .threads.future import TaskFuture
from .threads.future_log import LATE, PENDING, UNOPENED, OutcomeCallback
from .threads.interpreter_exit import register
from .threads.mapping import as_completed, in_order
from .threads.observing import Observing
from .threads.signals import stop_on_signals

if TYPE_CHECKING:
    from .threads.engine import Engine, ThreadsBackendPort

R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
Ts = TypeVarTuple("Ts")

_NORMAL = Priority.NORMAL


class TaskManager(Observing[R]):
    """Runs tasks over a pool of threads, each of which owns a resource.

    A task is ``task(ctx, resource, *args)``. All methods are thread-safe. Use the manager as a context manager: leaving
    the block stops it gracefully; leaving it by an exception kills it. A manager that is collected without ``stop`` or
    ``kill`` is killed, with a ``ResourceWarning``; when the interpreter exits, it is stopped gracefully.

    The constructor makes the pool of ``run_task`` (``Config.resource_pool_size``) in the calling thread, and starts the
    workers. It raises ``ResourceError`` if the pool cannot be made, and ``ConfigError`` if ``config`` is not a
    ``Config``, or if one of its functions is asynchronous.
    """

    def __init__(self, config: Config[R]) -> None:
        if not isinstance(config, Config):
            raise ConfigError(f"TaskManager takes a Config, got {config!r}")
        # Imported here because most of the library is behind it, and takes most of the time of the import.
        from .core.user_functions import forbid_async  # noqa: PLC0415
        from .threads import methods  # noqa: F401, PLC0415  all that the methods below import
        from .threads.engine import Engine  # noqa: PLC0415

        forbid_async(config)

        engine = Engine(config, _backend_of(config))
        engine.start()
        self._engine = engine
        self._config = config
        self._numbers = iter(engine.counters.numbers)
        self._normal = engine.queue.levels[_NORMAL]
        self._put_token = engine.queue.tokens.put
        register(engine)

    # -- tasks ----------------------------------------------------------------------------------------------------

    def submit(  # noqa: PLR0915  a call of ours would cost more
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        priority: Priority = _NORMAL,
        once: bool = False,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        callback: Callable[[T | None, BaseException | None], object] | None = None,
        block: bool = True,
        queue_timeout: float | None = None,
    ) -> TaskFuture[T]:
        """Queues ``task(ctx, resource, *args)`` and returns its future.

        ``priority``: the task is started before all queued tasks of lower priority, and after those of the same priority that
        were submitted before it. ``once``: the task is never started a second time, even if the resource was to blame for its
        error; unless it gives itself back by ``Snooze``.
        ``retry``: when the task is tried again, in place of ``Config.retry``.
        ``timeout``: the seconds that each attempt may take, from its start; ``deadline``: the seconds from now within which
        the task has to end, and after which it does not start. Then its context is cancelled, and it ends with
        ``TaskTimeout``, after ``Config.cancel_grace`` seconds even if it goes on. None: as the configuration says;
        ``math.inf``: no limit.
        ``callback(result, error)``: called exactly once, with the result and None or with None and the error, in the thread that
        sets the outcome (most often the worker's) or one of the manager's own. An error that it raises is logged and counted.
        ``block``, ``queue_timeout``: whether, and for how many seconds (None: no limit), to wait for a slot if
        ``Config.max_queue_size`` tasks are waiting.

        Raises ``QueueFull`` if there is no slot, at once or within ``queue_timeout`` seconds; ``DeadlockError`` in a
        task of this manager if the wait for a slot would never end; ``TypeError`` or ``ValueError`` for a wrong
        argument. Raises ``ShutdownError`` if the manager accepts no more tasks; with a ``callback``, that gets the
        error instead, and the returned future has failed with it.
        """
        # Ctrl-C may raise KeyboardInterrupt in here, but CPython checks for signals only when a call returns and when a
        # loop turns. At each of these moments, ``number`` and ``slot`` hold exactly what has to be taken back.
        engine = self._engine
        level = self._normal if priority is _NORMAL else engine.level(priority)
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        slot = None
        number = 0
        try:
            if engine.must_admit:
                check_rare(callback, retry)  # before it waits; else below, which costs a task that has none nothing
                slot = engine.slot_wait()
                engine.admit(slot, block, queue_timeout)
                timeout, deadline = engine.limits.filled_in(timeout, deadline)
            # A loop, not ``next``: between the end of that call and the assignment a signal could strike, and a number
            # that no task has would keep a stop waiting.
            try:
                for number in self._numbers:  # noqa: B007
                    break
            except IndexError:
                number = engine.counters.numbers.more()
            # As ``_accepted``, which would be one call more.
            future: TaskFuture[T] = TaskFuture()
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
            if retry is not None:
                check_rare(callback, retry)
                future._retry = retry
            if slot is not None:
                future._holds_slot = True
            if callback is not None:
                check_rare(callback, retry)
                # As ``add_done_callback``, which need not be called: no other thread knows the future yet.
                future._log = [OutcomeCallback(callback)]
            # From each ``+=``, atomic on a deque, to the end of ``_put_token``, which is C, nothing is called: either the task
            # is queued with its token, or its number and slot are taken back.
            if timeout is not None or deadline is not None:
                engine.limit(future, timeout, deadline)
                level += (future,)
                number, slot = -1, None
                self._put_token(None)
                engine.keep_deadline(future)  # not before: what ends at its deadline is counted as accepted
            else:
                level += (future,)
                number, slot = -1, None
                self._put_token(None)
        except BaseException as error:
            engine.unsubmitted(number, slot)
            if number < 0 and isinstance(error, MemoryError):
                engine.take_back(future)  # type: ignore[possibly-undefined]  # it was queued
            if callback is not None and isinstance(error, ShutdownError):
                from .threads.methods import refused  # noqa: PLC0415  loaded with the engine

                return refused(engine, task, callback, error)
            raise
        # After the task was queued: the door may have been closed meanwhile, see ``follow_up``.
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
        """Submits the task as ``submit`` does, waits for its result and returns it.

        Raises what ``submit`` and the task raise, and ``DeadlockError`` in a task of this manager if the wait would never end.
        """
        return self.submit(task, *args, **options).result()

    def run_task(
        self,
        task: Callable[[Context, R, *Ts], T],
        *args: *Ts,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> T:
        """Runs the task at once, in the calling thread and past the queue, and returns its result.

        The task gets an idle resource of the pool (``Config.resource_pool_size``) or, if there is none, a temporary one
        that is destroyed afterwards. An unhealthy error destroys the resource. ``timeout``, ``deadline``: as for ``submit``; but a
        function in the calling thread that goes on is not left alone. ``retry``: when the task is tried again, in this thread, which
        waits for the pauses; None: never, whatever ``Config.retry`` says.

        Raises what the task raises; ``TaskTimeout``, ``MaxRetriesExceeded`` and ``PoisonTask`` as a future does; ``ResourceError`` if
        a resource cannot be made or ``Config.max_temporary_resources`` are in use; ``ShutdownError`` if the manager accepts no more
        tasks; ``TypeError`` or ``ValueError`` for a wrong argument. Ctrl-C is raised, unless a hook other than ``on_create`` runs at
        that moment: there it is an error of the hook, which is logged.
        """
        if not callable(task):
            raise TypeError(f"task must be callable, got {task!r}")
        engine = self._engine
        if retry is None and timeout is None and deadline is None and not engine.limits.by_default:
            return engine.run_task.run(task, args)  # type: ignore[no-any-return]
        from .threads.methods import run_tries  # noqa: PLC0415  loaded with the engine

        return run_tries(engine, task, args, retry, timeout, deadline)  # type: ignore[no-any-return]

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
        """Yields the result of ``task(ctx, resource, item)`` for each item, in the order of the inputs or, if not
        ``ordered``, as the tasks end.

        It is lazy: at most ``look_ahead`` inputs (default: 1,000) are read and submitted ahead of the results that were yielded,
        so the inputs may be endless; nothing is submitted before the first ``next``. A result that is ready is yielded before the
        next input is waited for. The options apply to each task, which waits for a slot if the queue is full.

        The iterator raises the error of a task, or of the inputs, in place of the result. Then, and when the iterator
        is closed, the tasks that were submitted ahead are cancelled. Raises ``ValueError`` or ``TypeError`` for a wrong
        argument. The iterator itself is not thread-safe.
        """
        look_ahead = check_look_ahead(look_ahead)
        # Keywords, and not a dict for each item. Options that there are not are an error here, not at the first item.
        priority, once, retry, timeout, deadline = task_options(**options)
        iter(inputs)  # raises TypeError here, and not at the first ``next``

        def submit(item: A) -> TaskFuture[T]:
            return self.submit(
                task, item, priority=priority, once=once, retry=retry, timeout=timeout, deadline=deadline
            )

        prompt = is_in_memory(inputs) and self._engine.queue_slots is None
        if ordered:
            return in_order(submit, inputs, look_ahead, prompt)
        return as_completed(submit, inputs, look_ahead, prompt, self._engine.waits)

    @spells_out(TaskOptions)
    def as_executor(self, **options: Unpack[TaskOptions]) -> Executor:
        """Returns a view of this manager as a ``concurrent.futures.Executor``, whose callables get no resource.
        Thread-safe.

        The options apply to each task. ``shutdown`` closes the view and waits for the tasks that came through it; the manager
        goes on.
        """
        return ManagerExecutor(self.submit, self._engine.waits, options)

    # -- the end --------------------------------------------------------------------------------------------------

    def stop(self, timeout: float | None = None, *, hand_back: bool = False) -> StopReport:
        """Stops gracefully: accepts no more tasks, runs all that were accepted, destroys the resources, and returns.

        If ``timeout`` seconds (None: no limit) pass before that, the stop becomes a ``kill``, and returns. A second
        call waits for the first. Raises ``DeadlockError`` inside a task or callback of this manager, and ``ValueError``
        for a wrong timeout.

        ``hand_back``: tasks that have not started are not run, nor are retries that wait. Each is in ``handed_back`` of the
        report, from where it can be submitted elsewhere, and its future ends with ``TaskHandedBack``, a cancellation, so that
        no wait for it is in vain. Tasks that run have the ``timeout`` to end. This ends a pause as any stop does.
        """
        check_timeout(timeout)
        return self._end("stop", None if timeout == math.inf else timeout, hand_back)

    def kill(self, timeout: float | None = None) -> StopReport:
        """Kills: accepts no more tasks, ends the queued ones with ``TaskKilled``, cancels the contexts of the running
        ones, waits up to ``timeout`` seconds (default: ``Config.cancel_grace``) for them, destroys the resources, and
        returns.

        A thread that does not return from user code cannot be ended: its task ends with ``TaskKilled``, and the worker
        is named in the report as abandoned; if the thread returns later, its resource is destroyed then. A kill during
        a stop takes its place. Raises ``DeadlockError`` inside a task or callback of this manager, and ``ValueError``
        for a wrong timeout.
        """
        check_timeout(timeout)
        return self._end("kill", self._config.cancel_grace if timeout is None else timeout)

    def _end(self, what: str, timeout: float | None, hand_back: bool = False) -> StopReport:
        engine = self._engine
        if engine.is_forked:
            return StopReport(killed=False, killed_tasks=0, abandoned=(), seconds=0.0)
        from .threads.methods import forbid_reentry  # noqa: PLC0415  loaded with the engine

        forbid_reentry(engine, what)
        return engine.end(what == "kill", f"{what}() was called", timeout, hand_back)

    def stop_on_signals(self, *signums: int) -> AbstractContextManager[Received]:
        """Returns a context manager in which the first SIGTERM or SIGINT (or one of ``signums``) begins a graceful
        stop, and the second one kills. Entering it returns the signals that were received.

        The signal raises nothing in the main thread: ``submit`` raises ``ShutdownError`` from then on, and leaving the
        manager's own block waits for the end. The former handlers are restored at the end. Entering it raises
        ``ValueError`` in any thread but the main one.
        """
        return stop_on_signals(self._engine, signums)

    def pause(self, timeout: float | None = None) -> bool:
        """Lets no task start until ``resume``, for maintenance: running tasks go on, workers keep their resources. Waits up to
        ``timeout`` seconds (None: no limit; 0: does not wait) until no task runs any more; the pause lasts even if that takes
        longer. Returns whether none runs: False if some may still, or if it was resumed or stopped meanwhile.

        Tasks are accepted and wait; the bound of the queue and ``queue_timeout`` hold as ever. ``run_task`` raises
        ``PausedError``, except in a task that still runs. The pool neither grows nor shrinks, and no task fails because of
        ``ready_timeout``. ``stop`` ends the pause, and so runs what was accepted; ``kill`` drops it. Pausing a paused manager
        changes nothing: one ``resume`` ends the pause.

        Thread-safe. Raises ``ShutdownError`` if the manager was stopped or killed; ``DeadlockError`` inside a task or callback
        of this manager, unless ``timeout`` is 0; ``ValueError`` for a wrong timeout.
        """
        check_timeout(timeout)
        from .threads.methods import forbid_reentry, pause  # noqa: PLC0415  loaded with the engine

        if timeout != 0:
            forbid_reentry(self._engine, "pause")
        return pause(self._engine, None if timeout == math.inf else timeout)

    def resume(self) -> None:
        """Ends a pause, and returns at once. Tasks start in the order of their priorities. Harmless if the manager is not
        paused, or was stopped. Thread-safe."""
        from .threads.methods import resume  # noqa: PLC0415  loaded with the engine

        resume(self._engine)

    def resize(self, *, worker_count: int | None = None, max_worker_count: int | None = None) -> None:
        """Changes the bounds of the number of workers, and returns at once. A bound that is not given stays as it is.
        Surplus workers end after their task.

        Raises ``ConfigError`` for a wrong value.
        """
        self._engine.resize(worker_count, max_worker_count)

    def refresh(self) -> Future[bool]:
        """Replaces every resource by one that is made from now on, those of ``run_task`` included, and returns at once: for
        credentials that change, say.

        No task fails, waits or is interrupted for that: where ``max_worker_count`` leaves room, new workers are made first, and
        for each that is ready one with an outdated resource ends as soon as it has no task; where there is no room, one goes
        after the other, so that one worker is missing at most. As long as no resource can be made, the outdated ones serve on.

        The result of the future is True once no outdated resource is left, and False if the manager ended first. It cannot be
        cancelled. Its ``result`` raises ``DeadlockError`` in a task of this manager; callbacks of it are called in a thread of the
        manager's own. Raises ``ShutdownError`` if the manager accepts no more tasks.
        """
        from .threads.methods import RefreshFuture  # noqa: PLC0415  loaded with the engine

        return RefreshFuture(self._engine)

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
        except BaseException:
            # Ctrl-C during the stop. Without the kill, the exit of the interpreter would wait for the same stop again.
            self.kill()
            raise

    def __del__(self) -> None:
        # None if the constructor has raised.
        engine: Engine | None = getattr(self, "_engine", None)
        if engine is None or engine.closed:
            return
        # A finalizer must not wait or take a lock; a request does neither.
        engine.request_kill("it was collected without stop()", engine.config.cancel_grace)
        warnings.warn(f"{self!r} was collected without stop() or kill()", ResourceWarning, stacklevel=1, source=self)

    def __repr__(self) -> str:
        return f"<TaskManager {self._config.name!r} {self._engine.view.phase.value}>"


def _backend_of(config: Config[Any]) -> Callable[[Engine], ThreadsBackendPort] | None:
    if config.backend is None:
        return None
    from .remote.threads_backend import ThreadsBackend  # noqa: PLC0415  what it needs comes with an extra

    return ThreadsBackend
