"""WaitSearch: the part of the search for deadlocks that both engines share. It asks ``control.deadlock`` and has the
waits refused that would never end."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from tasker.control.deadlock import Need, Outlook, Staff, WaitJudge, stuck_among
from tasker.control.events import AllBlocked
from tasker.control.lifecycle import HELD, Phase
from tasker.errors import DeadlockError

from .ports import WaitsPort

W = TypeVar("W")


class WaitSearch(abc.ABC, Generic[W]):
    """Searches among the waits of one manager's workers; an engine brings them. Not thread-safe."""

    def __init__(self, engine: WaitsPort) -> None:
        self._engine = engine
        self._judge: WaitJudge[W, Any] = WaitJudge()

    @abc.abstractmethod
    def label(self, worker: W) -> str:
        """Describes the task or callback that runs in a worker."""

    @abc.abstractmethod
    def refuse(self, worker: W, error: DeadlockError) -> None:
        """Has the wait of a worker raise the error. From then on, the worker counts as free."""

    @property
    def moment(self) -> float | None:
        """When the waits have to be judged though nothing is reported (the clock of ``now``), or None."""
        # Asked after each event, and most managers have no limit for it.
        return None if self._engine.config.ready_timeout is None else self._judge.gives_up_at(self._staff())

    def would_hang(self, needs: Mapping[W, Need[Any]], running: Mapping[Any, W]) -> bool:
        """Returns whether one of the waits could last for ever, were it not for what the engine has not looked at."""
        return bool(needs) and (self._engine.view.ready <= len(needs) or bool(stuck_among(needs, running, served=True)))

    def settle(self, needs: dict[W, Need[Any]], running: Mapping[Any, W], now: float) -> None:
        """Refuses as many of the waits as it takes to let all others end, the latest first, or asks for a worker. Removes
        those that it refuses from ``needs``."""
        engine = self._engine
        if engine.view.phase in HELD:
            self._judge.forget()  # what is waited for may start when the pause is over
            return
        if engine.view.phase not in (Phase.RUNNING, Phase.DRAINING):
            return  # a kill ends whatever is waited for
        while (outlook := self._judge.judge(needs, running, self._staff(), now)) is Outlook.DEADLOCK:
            # One at a time: the task that fails lets others go on.
            worker = self._judge.stuck[-1]
            error = DeadlockError(self._reason(worker, needs))
            del needs[worker]
            self.refuse(worker, error)
        # Last, because an engine may handle the event at once, and ask here again.
        if outlook is Outlook.NEEDS_WORKER:
            engine.report(AllBlocked(len(needs)))

    def _staff(self) -> Staff:
        view = self._engine.view
        timeout = self._engine.config.ready_timeout
        return Staff(view.ready, view.starting, view.retiring, view.target, view.may_grow, timeout)

    def _reason(self, worker: W, needs: Mapping[W, Need[Any]]) -> str:
        view, name = self._engine.view, self._engine.config.name
        text = f"{self.label(worker)} waits for {_listed(needs[worker])}, but "
        if view.ready > len(needs):
            return text + "that one waits for it in turn"
        text += f"all {view.ready} workers of {name!r} run tasks that wait for tasks of the same manager"
        if view.creation_error is not None:
            text += f", and no further worker could be made ({view.creation_error})"
        return text + ", so it would never start"


def _listed(need: Need[Any]) -> str:
    first, *others = need.awaited
    if not others:
        return str(first)
    return f"{'the first' if need.any else 'all'} of {len(need.awaited)} tasks, {first} among them"
