"""A task of ``run_task`` in a session: one at a time, for one caller at a time. What both engines have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import Context as Variables
from contextvars import copy_context
from typing import Any

from tasker.context import Context
from tasker.errors import TravelError, WorkerLost
from tasker.logs import task_name

from .context import RemoteContext, cancelled_there
from .events import CHECKED, ERROR, GARBLED, GONE, LARGE, RESULT, SKIPPED, UNFIT, UNREAD, SessionEvent, garbled
from .ports import InlineEngine
from .recycling import RecycleLimits
from .session import Session, SessionOptions


class InlineTask:
    """A task of ``run_task``, as far as a session reads it. It has no future."""

    __slots__ = ("_args", "_task", "_variables")

    def __init__(self, task: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._task: Any = task
        self._args = args
        self._variables: Variables | None = copy_context() or None

    @property
    def _held(self) -> tuple[Any, ...]:
        """The arguments, under the name that they have in a future of an event loop."""
        return self._args

    @property
    def label(self) -> str:
        """The task in messages."""
        return task_name(self._task)


class InlineSession:
    """A session with a resource of ``run_task``'s. An engine's subclass opens, drives and closes it."""

    def __init__(self, engine: InlineEngine, name: str, options: SessionOptions) -> None:
        self.name: str = name
        self.session: Session | None = None
        self.broken: bool = False
        """Whether it cannot be used any more."""
        self.destroyed: bool = False
        """Whether it has destroyed its resource of its own accord."""
        self._root: Context = engine.run_task_root
        self._log = engine.log
        self._pauses = engine.config.check_health is not None
        """Whether the session begins nothing after an error until that is judged."""
        self._options = options
        self._config = engine.config
        self._recycle_limits = RecycleLimits(options, engine.config)

    def made(self) -> None:
        """Its resource has just been made: its time begins."""
        self._recycle_limits = RecycleLimits(self._options, self._config)

    @property
    def usable(self) -> bool:
        """Whether it may get another task."""
        return not self.broken and not self._recycle_limits.reached()

    def context(self) -> Context:
        """Returns the context of the next task."""
        assert self.session is not None
        return RemoteContext(self._root, self.session, next(self.session.numbers))

    def _send(self, session: Session, context: RemoteContext, task: InlineTask) -> TravelError | None:
        """Sends a task; returns why it cannot be sent, if it cannot."""
        refused, _ = session.send([(context.number, task, 0)], alone=True)
        return refused[0][1] if refused else None

    def _outcome_in(self, session: Session, events: Iterable[SessionEvent]) -> SessionEvent | None:
        """Returns the event that ends the task, if it is among these, and notes the others."""
        for event in events:
            kind = event[0]
            if kind in (ERROR, UNREAD):
                # Here, where it is received, and not where it is raised: a caller that was cancelled raises nothing of
                # it, and the session pauses all the same. If the resource is to blame, it gets no more tasks.
                session.judged += 1
            if kind in (RESULT, ERROR, SKIPPED, GARBLED, UNREAD):
                return event
            self.destroyed = self.destroyed or kind == GONE
            self._recycle_limits.large = self._recycle_limits.large or kind == LARGE
            self._recycle_limits.unfit = self._recycle_limits.unfit or bool(kind == CHECKED and event[1])
            if kind == UNFIT:
                self._recycle_limits.unfit = True
                self._log.fault("on_return", event[1])
        return None

    def _note(self, event: SessionEvent) -> None:
        """Notes what is reported while no task is in flight."""
        self._outcome_in(self.session, [event]) if self.session is not None else None

    def _ended(self, session: Session) -> None:
        """Notes that the task has ended."""
        session.in_flight.clear()
        self._recycle_limits.served += 1

    def _result(self, context: Context, task: InlineTask, event: SessionEvent) -> Any:
        """Returns the result of a task that has ended so, or raises its error."""
        kind = event[0]
        if kind == RESULT:
            return event[2]
        if kind == GARBLED:
            if self._pauses:  # it may have been an error
                self._recycle_limits.large = True
            raise garbled(task.label, event[1])
        if kind == ERROR:
            error: BaseException = event[2]
            if event[5] and not context.cancelled:
                cancelled_there(context, error)
            raise error
        if kind == UNREAD:
            raise TravelError(f"{task.label}: the message with its arguments can't be read in its process")
        context.raise_if_cancelled()
        raise WorkerLost(f"worker {self.name} did not run {task.label}")
