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

from .in_flight import InFlightItems
from .inputs import Inputs
from .items import Item
from .priorities import priority_of
from .task_wrapper import ItemResult


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How items become tasks."""

    run_item: Callable[[Context, Any, Any], ItemResult]
    priority_field: str | None
    once: bool
    is_done: Callable[[Item], bool]


class Submitter(threading.Thread):
    """Ends at the end of the inputs, when the desk closes, or with `error`.

    A daemon: after Ctrl-C it may sit in a read that never returns.
    """

    def __init__(
        self, manager: TaskManager[Any], inputs: Inputs, in_flight: InFlightItems, plan: SubmitOptions
    ) -> None:
        super().__init__(name="tasker-feeder", daemon=True)
        self._manager = manager
        self._inputs = inputs
        self._in_flight = in_flight
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
        self._in_flight.wake()

    def _feed(self) -> None:
        for item in self._inputs:
            if self._in_flight.gate.closed:
                return
            if item.problem is None and self._plan.is_done(item):
                self.skipped += 1
                continue
            if not self._in_flight.acquire_slot():
                return
            self._submit(item)

    def _submit(self, item: Item) -> None:
        priority, problem = priority_of(item, self._plan.priority_field)
        if problem is not None:
            self._in_flight.add(problem, None)
            return
        try:
            future = self._manager.submit(self._plan.run_item, item.value, priority=priority, once=self._plan.once)
        except ShutdownError:
            if not self._in_flight.gate.closed:
                raise
            return
        self._in_flight.add(item, future)
