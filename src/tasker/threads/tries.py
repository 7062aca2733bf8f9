"""A call of ``run_task`` that has a time limit or may be tried again: one ``Call`` after the other in the caller's thread.

As for a single one (``run_task``), what it holds is up to date wherever Ctrl-C may strike: it counts as running while a ``Call``
of it is open, and between two of them while ``carried`` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from tasker.context import Context
from tasker.control.health import Health
from tasker.control.retries import RetryPolicy
from tasker.core.inline_tries import InlineTries
from tasker.errors import TaskKilled, TaskTimeout, WorkerLost

from .ports import ThreadEngineForRunTask
from .resources import ResourceElsewhere
from .run_task import Call, RunTask


class EngineForTries(ThreadEngineForRunTask, Protocol):
    """The part of the engine that is used here."""

    @property
    def run_task(self) -> RunTask: ...


class AttemptCall(Call):
    """One attempt."""

    tries: InlineTries

    def __init__(self, tries: InlineTries) -> None:
        self.tries = tries

    def enter(self, engine: ThreadEngineForRunTask) -> None:
        """See ``Call``. It is counted once, whatever the number of attempts."""
        tries = self.tries
        if not tries.carried:
            super().enter(engine)
            tries.queued = self.queued
            return
        self.queued: float = tries.queued
        self.open: bool = True
        tries.carried = False  # no call in between

    def failed(self, error: BaseException, context: Context) -> None:
        """See ``Call``."""
        self.tries.context = context
        super().failed(error, context)

    def run_there(
        self,
        engine: ThreadEngineForRunTask,
        remote: ResourceElsewhere,
        context: Context,
        task: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> Any:
        """See ``Call``."""
        with self.tries.attempt_elsewhere(context):
            return remote.run(context, task, args)

    def judge(self, run_task: RunTask, error: BaseException, broken: bool, finished: float) -> Health:
        """See ``Call``. The error of the call takes the place of that of the attempt."""
        tries, raised = self.tries, error
        timed_out = tries.timed_out(error)
        unused = timed_out is not None and timed_out.blameless
        if timed_out is not None:
            error = timed_out.error
            self.cancelled: bool = False
        if unused:
            self.started: float = 0.0  # it came too late, and was not called
        lost = broken and issubclass(type(error), WorkerLost)
        health = Health.REPLACE if lost else run_task.health_after(self, error, blameless=unused)
        ran = finished - self.started if self.started else 0.0
        self.error: BaseException | None = tries.judge(
            raised, error, health, ran, cancelled=self.cancelled, timed_out=timed_out
        )
        return health


def run_tries(
    engine: EngineForTries,
    task: Callable[..., Any],
    args: tuple[Any, ...],
    retry: RetryPolicy | None,
    timeout: float | None,
    deadline: float | None,
) -> Any:
    """Runs the task. Returns its result or raises its error, or ``TypeError`` or ``ValueError`` for wrong options."""
    tries = InlineTries(engine, task, args, retry=retry, timeout=timeout, deadline=deadline)
    try:
        return _attempts(engine, tries, engine.limited_inline(tries))
    except BaseException as error:
        try:
            _leave(engine, tries, error)
        except BaseException:  # Ctrl-C again
            _leave(engine, tries, error)
            raise
        raise
    finally:
        tries.end()


def _attempts(engine: EngineForTries, tries: InlineTries, task: Callable[..., Any]) -> Any:
    """Makes one attempt after the other."""
    while True:
        tries.begin()
        try:
            value = engine.run_task.run(task, tries.args, AttemptCall(tries))
            tries.succeeded()
            return value
        except BaseException as raised:
            if not tries.follows(raised):
                _raise(engine, tries, raised)
        engine.pause_caller(tries)
        error = tries.missed()
        if error is not None:
            _raise(engine, tries, error)


def _raise(engine: EngineForTries, tries: InlineTries, raised: BaseException) -> NoReturn:
    """Raises the error of a call whose last attempt has ended with ``raised``."""
    error = tries.outcome(raised)
    if tries.quarantined is not None:
        engine.hooks.quarantined(tries.quarantined)
    try:
        if error is raised:
            raise error
        raise error from error.__cause__
    finally:
        del raised, error  # their tracebacks hold this frame


def _leave(engine: EngineForTries, tries: InlineTries, error: BaseException) -> None:
    """Counts a call that has ended between two attempts. May be called again if it was interrupted."""
    meter = engine.run_task.meter
    with engine.counters.lock:
        if not tries.carried:
            return
        # No call in between.
        tries.carried = False
        engine.counters.inline_done += 1
        if issubclass(type(error), TaskKilled):
            meter.cancelled += 1
        else:
            meter.failed += 1
            meter.timed_out += issubclass(type(error), TaskTimeout)
    if engine.door:
        engine.check_drained()
