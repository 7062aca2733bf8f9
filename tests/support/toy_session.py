"""A toy backend: each resource lives in a plain thread of this process, which takes tasks and reports what became of them.

It shows what a backend has to bring, and nothing more: no process, no pickle, no descriptor. Its events come by callback from
another thread, as they do from a remote cluster. A thread cannot be killed; so ``kill`` gives it up: from then on the
session is dead for its manager, and the thread ends by itself once its task does, without destroying the resource.
"""

from __future__ import annotations

import contextvars
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from types import CoroutineType, SimpleNamespace
from typing import Any, cast

from tasker import Config, Context, TaskKilled, WorkerLost
from tasker.context import RootContext
from tasker.core.identity import WorkerContext, arguments_for
from tasker.core.probing import fault_of
from tasker.core.user_functions import refused
from tasker.logs import GuardedLogger
from tasker.options import Backend
from tasker.process.child.resource import Resource
from tasker.remote.events import CHECKED, ERROR, GONE, READY, RESULT, SKIPPED, UNFIT, UNMADE
from tasker.remote.mailbox import MailboxSession
from tasker.remote.registry import register
from tasker.remote.session import ArgsOf, InFlightTask, Refused, SessionOptions, Sessions

_PATIENCE = 5.0
"""Seconds that a thread has to end."""


@dataclass(frozen=True)
class ToyBackend(Backend):
    """`Config(backend=ToyBackend())`."""

    max_tasks: int | None = None
    max_age: float | None = None
    pipeline: bool = True


class ToyContext(Context):
    """The context of the task that runs."""

    __slots__ = ("interrupt", "killed", "number")

    def __init__(self, root: Context, number: int) -> None:
        super().__init__(root)
        self.number = number
        self.interrupt: Callable[[], object] | None = None
        self.killed = False


class ToySession(MailboxSession):
    """One resource in one thread."""

    def __init__(self, name: str, config: Config[Any], asynchronous: bool, args_of: ArgsOf, on_end: Any) -> None:
        super().__init__(name, min(config.cancel_grace, 1e6))
        self._on_end = on_end
        self._args_of = args_of
        self._asynchronous = asynchronous
        self._pauses_after_errors = config.check_health is not None
        self._config = config
        self._root: Context = RootContext(config.ctx)
        hooks = {"create": config.on_create, "destroy": config.on_destroy, "resource": config.resource}
        hooks["on_return"], hooks["check_resource"] = config.on_return, config.check_resource
        self._resets = config.on_return is not None
        self._hooks = SimpleNamespace(**hooks, asynchronous=asynchronous)
        self._resource = Resource(self._hooks)  # type: ignore[arg-type]
        # Everything below under `lock`, which `recall` and the beginning of a task must not both have.
        self._changed = threading.Condition(self.lock)
        self._ahead: deque[tuple[int, InFlightTask]] = deque()
        """What has not begun, with the value of `judged` when it was sent."""
        self._pauses = 0
        self._current: ToyContext | None = None
        self._early: dict[int, BaseException] = {}
        """Cancellations of what has not begun."""
        self._leaving = False
        self._checks = False
        self._killed = False
        self._cancellations: queue.SimpleQueue[tuple[ToyContext, BaseException] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"{name}-toy", daemon=True)
        self._control = threading.Thread(target=self._carry_out, name=f"{name}-toy-control", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        if self._killed:
            self._end()
            return
        worker = self.worker
        if worker is not None:
            self._root = WorkerContext(self._root, lambda: worker)
        self._control.start()
        self._thread.start()

    # -- tasks ----------------------------------------------------------------------------------------------------

    def send(self, tasks: Sequence[InFlightTask], alone: bool = False) -> tuple[list[Refused], float]:
        """See `Session`."""
        with self._changed:
            self.in_flight.extend(tasks)
            self._ahead.extend((self.judged, task) for task in tasks)
            self._changed.notify_all()
        return [], 0.0

    def recall(self, given_up: bool = False) -> tuple[list[InFlightTask], bool]:
        """See `Session`."""
        with self._changed:
            if self.closed or self.dead:
                return [], False
            back = [self.in_flight.pop() for _ in self._ahead][::-1]
            self._ahead.clear()
            return back, self._unbegin(back)

    def cancel(self, number: int, cause: BaseException) -> None:
        """See `Session`."""
        with self._changed:
            current = self._current
            if current is not None and number in (0, current.number):
                self._cancellations.put((current, cause))
            elif any(task[0] == number for _, task in self._ahead):
                self._early[number] = cause

    # -- the end --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See `Session`."""
        with self._changed:
            self._checks = True
            self._changed.notify_all()

    def leave(self) -> None:
        """See `Session`."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()

    def terminate(self, number: int = 0) -> None:
        """See `Session`; a function that does not return cannot be interrupted."""
        with self._changed:
            if number and (self._current is None or self._current.number != number):
                return
            self._leaving = True
            self._changed.notify_all()
            interrupt = None if self._current is None else self._current.interrupt
        if interrupt is not None:
            interrupt()

    def kill(self) -> None:
        """See `Session`, and the module's docstring."""
        with self._changed:
            self._killed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._end()

    def begun_at_death(self) -> list[InFlightTask]:
        """See `Session`."""
        with self._changed:
            return [self.in_flight.popleft() for _ in range(len(self.in_flight) - len(self._ahead))]

    def death(self) -> WorkerLost:
        """See `Session`."""
        how = "was given up" if self._killed else "has ended"
        return WorkerLost(f"the thread of worker {self.name} {how}")

    def close(self) -> None:
        """See `Session`."""
        if not self._close_once() or self._thread.ident is None:
            return
        if not self._killed and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)
        if not self.dead:
            self.kill()

    def _end(self) -> None:
        """The session is dead."""
        if self._mailbox.close():
            self._cancellations.put(None)
            self._on_end()

    # -- the thread of the resource -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._hooks.arguments = arguments_for(self._config, self.worker)
            self._resource.make()
        except BaseException as error:
            self._mailbox.put((UNMADE, error))
        else:
            self._mailbox.put((READY,))
            while (begun := self._next()) is not None:
                self._report(*self._execute(*begun))
                del begun
            if not self._killed:
                self._mailbox.put((GONE, self._destroy()))
        self._forget()
        self._end()

    def _next(self) -> tuple[Any, ToyContext] | None:
        """The next task that may begin, and its context; None: it is time to end."""
        while (task := self._await_order()) is CHECKED:
            try:
                why = self._resource.check()
            except BaseException as error:
                why = fault_of(error)
            if not self._killed:
                self._mailbox.put((CHECKED, why))
        return task

    def _await_order(self) -> Any:
        with self._changed:
            while not self._killed and not self._leaving:
                if self._checks:
                    self._checks = False
                    return CHECKED
                if not self._ahead or self._ahead[0][0] < self._pauses:
                    self._changed.wait()
                    continue
                _, (number, future, _) = self._ahead.popleft()
                if self._early.pop(number, None) is not None:
                    self._mailbox.put((SKIPPED, number))
                    continue
                self._current = context = ToyContext(self._root, number)
                return future, context
        return None

    def _execute(self, future: Any, context: ToyContext) -> tuple[Any, ...]:
        task, args, variables = future._task, self._args_of(future), future._variables
        started = monotonic()
        try:
            value = self._resource.call((variables or contextvars.Context()).run, task, context, args)
            if type(value) is CoroutineType:
                raise refused(value)
        except BaseException as error:
            return ERROR, context.number, error, started, monotonic(), context.cancelled, False
        return RESULT, context.number, value, started, monotonic()

    def _report(self, *event: Any) -> None:
        unfit = self._unfit()
        with self._changed:
            self._current = None
            if unfit is not None:
                self._pauses += 1
                self._mailbox.put((UNFIT, unfit))
            if event[0] == ERROR and self._pauses_after_errors:
                self._pauses += 1
            if not self._killed:
                self._mailbox.put(event)

    def _unfit(self) -> BaseException | None:
        """What `on_return` raises between two tasks."""
        try:
            if self._resets:
                self._resource.reset()
        except BaseException as error:
            return error
        return None

    def _destroy(self) -> BaseException | None:
        try:
            self._resource.end()
        except BaseException as error:
            return error
        return None

    def _forget(self) -> None:
        """Close the loop of a resource that was not made, or is lost."""
        self._resource._end = None
        self._resource.end()

    # -- the control thread ---------------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        while (cancellation := self._cancellations.get()) is not None:
            context, cause = cancellation
            if isinstance(cause, TaskKilled):
                if context.killed:
                    continue
                context.killed = True
            try:
                context.cancel(cause)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            if context.interrupt is not None:
                try:
                    context.interrupt()
                except RuntimeError:  # its loop is closed: the task has ended
                    pass
            del cancellation, context, cause


class ToySessions(Sessions[ToySession]):
    """The sessions of one manager."""

    def __init__(self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool, args_of: ArgsOf) -> None:
        super().__init__(cast(SessionOptions, config.backend))
        self._config = config
        self._asynchronous = asynchronous
        self._args_of = args_of

    def _new(self, name: str, on_end: Callable[[], object]) -> ToySession:
        return ToySession(name, self._config, self._asynchronous, self._args_of, on_end)

    def _start(self, session: ToySession) -> None:
        session.start()

    def _release(self) -> None:
        pass


register(ToyBackend, "support.toy_session:ToySessions")
