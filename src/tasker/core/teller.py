"""Teller: tells the subscribers of one manager what happens in it. There is none while nobody subscribes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from tasker.config import Config
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control import notices as say
from tasker.control.lifecycle import Door
from tasker.control.supervisor import Supervisor
from tasker.control.view import View
from tasker.control.witness import After, Before, Witness, state_at
from tasker.core.feed import Feed
from tasker.core.hooks import Hooks
from tasker.core.identity import WorkerName
from tasker.errors import PoisonTask, TaskTimeout
from tasker.logs import GuardedLogger, describe


class WatchedEngine(Protocol):
    """The part of an engine that is used here."""

    supervisor: Supervisor
    view: View

    @property
    def config(self) -> Config[Any]: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def door(self) -> Door: ...
    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the supervisor handles no more events."""
        ...


def subscribe(engine: WatchedEngine, feed: Feed) -> None:
    """Adds a feed. If the manager has ended, closes it."""
    with engine.hooks.telling:
        if engine.hooks.teller is None and not engine.ended:
            engine.hooks.teller = Teller(engine)
        if engine.hooks.teller is not None:
            engine.hooks.teller.feeds += (feed,)
    # A supervisor that ends meanwhile has told those that were there before.
    if engine.ended and not feed.over:
        feed.close()


class Teller:
    """Thread-safe: the tasks that fail are told by the threads in which they do."""

    def __init__(self, engine: WatchedEngine) -> None:
        self._engine = engine
        self._witness = Witness(partial(WorkerName.of, engine.config.name), describe)
        self.feeds: tuple[Feed, ...] = ()

    def put(self, event: say.ManagerEvent) -> None:
        """Passes an event on."""
        for feed in self.feeds:
            feed.put(event)

    def _forget(self) -> None:
        """Removes the feeds that are over, and itself after the last one."""
        if not any(feed.over for feed in self.feeds):
            return
        with self._engine.hooks.telling:
            self.feeds = tuple(feed for feed in self.feeds if not feed.over)
            if not self.feeds:
                self._engine.hooks.teller = None

    def watch(self, event: ev.Event) -> Callable[[Sequence[act.Action], float], None]:
        """The supervisor is about to handle an event. Returns what has to be called with its answer."""
        engine = self._engine
        before = Before(engine.view, state_at(engine.supervisor.table, event))
        return partial(self._watched, event, before)

    def _watched(self, event: ev.Event, before: Before, actions: Sequence[act.Action], now: float) -> None:
        engine = self._engine
        try:
            after = After(engine.view, state_at(engine.supervisor.table, event), actions, now)
            for one in self._witness.tell(event, before, after):
                self.put(one)
        except Exception as error:  # what was decided is carried out all the same
            engine.log.fault("the telling of an event", error)
        self._forget()

    def failed(self, task: Any, error: BaseException, now: float) -> None:
        """A task has ended with an error. ``task``: its future, or None for one of ``run_task``."""
        kind: type[say.TaskEvent] = say.TaskFailed
        if issubclass(type(error), TaskTimeout):
            kind = say.TaskTimedOut
        elif issubclass(type(error), PoisonTask):
            kind = say.TaskQuarantined
        if task is None:
            self.put(kind(now, "run_task", 0, 1, "", describe(error)))
        else:
            worker = str(getattr(task, "_worker", ""))
            self.put(kind(now, task.label, task.id, task.attempts, worker, describe(error)))

    def close(self) -> None:
        """In a forked child: what happens there is not of this manager."""
        for feed in self.feeds:
            feed.forked()

    def end(self) -> None:
        """The manager has ended."""
        self.put(say.StopEnded(self._engine.now(), self._engine.door is Door.KILLED))
        self._forget()
