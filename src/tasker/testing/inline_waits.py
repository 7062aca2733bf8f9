"""InlineWaits: stands in for the registry of waits. Nothing waits here: a call that would wait runs what is queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasker.errors import DeadlockError
from tasker.threads.future_log import Callback
from tasker.threads.loop_waits import destination_of
from tasker.threads.waits import BlockingWait, GroupWait

from .inline_future import RunsTasks


class InlineWaits:
    """Does what the collaborators of the threaded engine expect of its ``waits``."""

    moment: float | None = None

    def __init__(self, engine: RunsTasks) -> None:
        self._engine = engine

    def judge(self, now: float, *, tick: bool) -> None:
        """See ``JudgedWaits``: there is nothing to judge."""

    def enter(self, wait: BlockingWait) -> None:
        """Runs tasks until the wait that follows is over."""
        self._engine.run_until(lambda: wait.need() is None, None, wait)

    def enter_group(self, futures: set[Any], refuse: Callable[[DeadlockError], object], *, first: bool = False) -> None:
        """Runs tasks until the wait for the ``first`` or all of them is over; ``refuse`` gets the error if it would never
        end."""
        try:
            self.enter(GroupWait(futures, refuse, first))
        except DeadlockError as error:
            refuse(error)

    def callback(self, future: Any, fn: Callable[[Any], object]) -> Callback:
        """Makes the watcher for a callback. If it is asyncio's own, a loop waits for the task, and runs it."""
        destination = destination_of(fn)
        if destination is not None:
            destination.get_loop().call_soon(self._engine.run_until, future.done, None, future)
        return Callback(fn)

    def leave(self, ticket: object) -> None:
        """The wait that was entered is over."""
