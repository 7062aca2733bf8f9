"""The feeder: the thread that reads items and submits them, a bounded number ahead.

A thread of its own, because reading standard input can wait for ever, and results must be
written and Ctrl-C must be answered meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker import Context, ShutdownError, TaskManager

from .attempts import Outcome
from .desk import Desk
from .inputs import Inputs
from .items import Item
from .priorities import priority_of


@dataclass(frozen=True, slots=True)
class Plan:
    """How items become tasks."""

    run_item: Callable[[Context, Any, Any], Outcome]
    priority_field: str | None
    once: bool
    is_done: Callable[[Item], bool]


class Feeder(threading.Thread):
    """Ends at the end of the inputs, when the desk closes, or with `error`.

    A daemon: after Ctrl-C it may sit in a read that never returns.
    """

    def __init__(self, manager: TaskManager[Any], inputs: Inputs, desk: Desk, plan: Plan) -> None:
        super().__init__(name="tasker-feeder", daemon=True)
        self._manager = manager
        self._inputs = inputs
        self._desk = desk
        self._plan = plan
        self.skipped: int = 0
        self.error: BaseException | None = None
        self.finished: bool = False

    def run(self) -> None:
        try:
            self._feed()
        except BaseException as error:
            self.error = error
        self.finished = True
        self._desk.wake()

    def _feed(self) -> None:
        for item in self._inputs:
            if self._desk.gate.closed:
                return
            if item.problem is None and self._plan.is_done(item):
                self.skipped += 1
                continue
            if not self._desk.take_place():
                return
            self._submit(item)

    def _submit(self, item: Item) -> None:
        priority, problem = priority_of(item, self._plan.priority_field)
        if problem is not None:
            self._desk.hand_in(problem, None)
            return
        try:
            future = self._manager.submit(self._plan.run_item, item.value, priority=priority, once=self._plan.once)
        except ShutdownError:
            if not self._desk.gate.closed:
                raise
            return
        self._desk.hand_in(item, future)
