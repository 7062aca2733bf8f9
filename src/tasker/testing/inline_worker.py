"""InlineWorker: a worker without a thread. It makes its resource when it gets its first task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context as Variables
from types import CoroutineType
from typing import Any, Protocol

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.health import Health
from tasker.control.workers import WorkerState
from tasker.core.limited_task import LimitedTask
from tasker.core.probing import passes, why_unfit
from tasker.core.user_functions import refused
from tasker.errors import DeadlockError
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import RUN
from tasker.threads.ports import HostedWorker, ThreadEngineForWorkers
from tasker.threads.resources import Maker, ResourceHandle
from tasker.threads.this_thread import this_thread
from tasker.threads.worker import Worker

from .clock import ManualClock
from .clocked_context import ClockedContext, ClockedLimit


class InlineEnginePort(ThreadEngineForWorkers, Protocol):
    """The part of the engine that its workers use."""

    @property
    def clock(self) -> ManualClock: ...


class InlineHost:
    """Implements ``Host`` for a resource that is used by one call at a time."""

    def __init__(self, maker: Maker, worker: HostedWorker) -> None:
        self._maker = maker
        self._worker = worker
        self.held: ResourceHandle | None = None

    def create(self) -> None:
        """See ``Host``."""
        self.held = self._maker.make(self._worker.root.info)

    def serve(self) -> None:
        """See ``Host``. An inline worker is given one task at a time."""
        raise NotImplementedError

    def destroy(self) -> None:
        """See ``Host``."""
        handle, self.held = self.held, None
        if handle is not None:
            self._maker.end(handle)

    def where(self, thread: int | None, patience: float = 0.0) -> str:
        """See ``Host``. Nothing runs at the moment of the call."""
        return ""

    def show(self, thread: int | None, tell: Callable[[str], object]) -> None:
        """See ``Host``."""
        tell("")

    def call(self) -> None:
        """See ``Host``."""
        self._worker.outdated = True

    def ahead(self) -> Sequence[Any]:
        """See ``Host``. None."""
        return ()

    def kill(self) -> bool:
        """See ``Host``. Returns False."""
        return False


class InlineWorker(Worker):
    """Makes a resource, runs one task after the other with it, and ends it, each in the thread of the caller."""

    engine: InlineEnginePort
    host: InlineHost

    busy: bool = False
    """Whether user code runs here, which a nested call must not disturb."""

    def __init__(self, engine: InlineEnginePort, seat: ev.Seat) -> None:
        super().__init__(engine, seat)
        self.now: Callable[[], float] = engine.clock.now

    @property
    def ready(self) -> bool:
        """Whether it can run a task at once."""
        cools = self.cooling and not self.engine.closed  # a stop waits for no pause
        return self.state is WorkerState.READY and not self.busy and not cools

    @property
    def worn(self) -> bool:
        """Whether its resource must get no more tasks."""
        handle = self.host.held
        return self.outdated or (handle is not None and not handle.usable)

    def rested(self, now: float) -> bool:
        """Whether its resource is due for a check although no task waits for it."""
        return self.ready and not self.worn and not self.engine.closed and self._due(now, wanted=False)

    def _due(self, now: float, *, wanted: bool) -> bool:
        config, handle = self.engine.config, self.host.held
        assert handle is not None
        if config.check_resource is None:
            return False
        # Compared as the clock adds, so that a test can move it to the very moment.
        if wanted:
            return now > handle.used + config.check_after_idle
        return config.check_interval is not None and now >= handle.used + config.check_interval

    def is_fit(self, *, wanted: bool = True) -> bool:
        """Has the resource checked, if it has been idle for too long. Ends the worker if it is not fit. ``wanted``: whether a task
        waits for it."""
        engine, handle = self.engine, self.host.held
        check: Any = engine.config.check_resource
        begun = engine.clock.now()
        if not self._due(begun, wanted=wanted):
            return True
        assert handle is not None
        why = self._apart(lambda: why_unfit(lambda: check(handle.resource)))
        handle.used = engine.clock.now()
        if passes(engine, f"worker {self.name}", self._too_long("check_timeout", begun) or why):
            return True
        engine.report(ev.WorkerUnhealthy(self.seat))
        self._end()
        return False

    def make(self) -> None:
        """Makes the resource, or reports why it could not. Raises what says that a fault hangs: no one else would."""
        begun = self.engine.clock.now()
        try:
            self._apart(self.host.create)
            if (late := self._too_long("create_timeout", begun)) is not None:
                self._apart(self.host.destroy)
                raise TimeoutError(f"on_create {late}")
        except BaseException as error:
            self.state: WorkerState = WorkerState.ENDING  # not tried again, even if the event has to wait
            self.engine.creation_failed(self.seat, error)
            if type(error) is DeadlockError:
                raise
        else:
            self._begin_serving()

    def _too_long(self, option: str, begun: float) -> str | None:
        """Returns what is wrong with a callback that has taken longer than an option allows; None: nothing."""
        limit: float | None = getattr(self.engine.config, option)
        if limit is None or self.engine.clock.now() <= begun + limit:
            return None
        return f"has not returned within {option}={limit} seconds"

    def serve(self, future: TaskFuture[Any]) -> None:
        """Runs one attempt of a task, and then ends the worker if its resource must not be used any more."""
        reported = self._apart(lambda: self._attempt(future))
        if reported:
            self._end()

    def retire(self, event: type[ev.WorkerRetiring | ev.WorkerWorn | ev.WorkerDropped] = ev.WorkerRetiring) -> None:
        """Ends the worker, and reports why."""
        self.engine.report(event(self.seat))
        self._end()

    def _end(self) -> None:
        self.state = WorkerState.ENDING
        self._apart(self.host.destroy)
        self.engine.report(ev.WorkerEnded(self.seat))

    def _apart(self, call: Callable[[], Any]) -> Any:
        """Runs user code as in the thread of this worker."""
        outer, this_thread.worker, self.busy = this_thread.worker, self, True
        try:
            return call()
        finally:
            this_thread.worker, self.busy = outer, False

    def _attempt(self, future: TaskFuture[Any]) -> bool:
        """Runs an attempt. Returns whether it was reported that the resource must not be used any more."""
        engine, shard = self.engine, self.shard
        task, args, variables = future._task, future._args, future._variables
        limited = future._limited
        context: Context = ClockedContext(self.root) if limited is None else ClockedLimit(self.root, limited)
        future._context = context
        future._worker = self.name
        future._started_at = engine.clock.now()
        future._append(RUN)
        if engine.killed or not future._may_run():
            self.skip(future)
            return False
        assert task is not None and args is not None and self.host.held is not None
        shard.future = future
        shard.taken += 1
        future._attempts += 1
        engine.release_slot(future)
        value: Any = None
        try:
            with limited_on(engine.clock, engine.config.cancel_grace, limited, context):
                value = (Variables() if variables is None else variables).run(
                    task, context, self.host.held.resource, *args
                )
            if type(value) is CoroutineType:
                raise refused(value)
        except BaseException as error:  # as in a thread: also a SystemExit is the outcome of its task
            health = self.failed(future, error)
        else:
            self.succeeded(future, value)
            health = Health.OK
        finally:
            shard.future = None
        shard.meter.flush()
        return health.replaces or self._wears_out()

    def _wears_out(self) -> bool:
        """Does what is due between two tasks. Returns whether it was reported that the resource has to be replaced."""
        engine, handle = self.engine, self.host.held
        assert handle is not None
        begun = engine.clock.now()
        fit, late = engine.hooks.reset(handle.resource), self._too_long("return_timeout", begun)
        if not fit or late is not None:
            engine.log.log("warning", "worker %s replaces its resource: on_return %s", self.name, late or "failed")
            engine.report(ev.WorkerUnhealthy(self.seat))
            return True
        handle.used = engine.clock.now()
        if handle.wear is not None:
            handle.wear.served += 1
        if self.worn:
            engine.report(ev.WorkerWorn(self.seat))
            return True
        return False


@contextmanager
def limited_on(clock: ManualClock, grace: float, limited: LimitedTask | None, context: Context) -> Iterator[None]:
    """Applies the time limit of a task, on the clock. Raises ``TaskTimeout`` if it may not start any more, or has taken so long
    that a pool of threads would have ended it."""
    if limited is None:
        yield
        return
    late = limited.start(context, clock.now())
    if late is not None:
        limited.skip()
        raise late

    def cancel() -> None:
        found = limited.cancel()
        if found is not None:
            found.cancel(limited.timed_out())

    forget = clock.call_later(limited.end - clock.now(), cancel)
    try:
        yield
    finally:
        forget()
        limited.ended()
    if clock.now() >= limited.end + grace:
        raise limited.timed_out()
