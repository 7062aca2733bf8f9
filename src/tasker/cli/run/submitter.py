"""The thread that reads items and submits them, a bounded number ahead of the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker import Context, ShutdownError, TaskManager

from .in_flight import InFlightItems
from .inputs import RunInputs
from .items import Item
from .priorities import priority_of
from .task_wrapper import ItemResult


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How items become tasks."""

    run_item: Callable[[Context, Any, Any], ItemResult]
    priority_field: str | None
    once: bool
    is_done: Callable[[Item], bool]  # whether a former run has the item's result


class Submitter(threading.Thread):
    """Reads and submits until the inputs end, the run is stopped, or reading fails, which sets `error`.

    A thread of its own: reading standard input can block for ever, while results have to be written
    and Ctrl-C has to be answered.
    """

    def __init__(
        self, manager: TaskManager[Any], inputs: RunInputs, in_flight: InFlightItems, options: SubmitOptions
    ) -> None:
        # A daemon: after Ctrl-C it may be blocked in a read that never returns.
        super().__init__(name="tasker-submitter", daemon=True)
        self._manager = manager
        self._inputs = inputs
        self._in_flight = in_flight
        self._options = options
        self.skipped: int = 0
        self.error: BaseException | None = None
        self.finished: bool = False

    def run(self) -> None:
        try:
            self._submit_all()
        except BaseException as error:
            self.error = error
        # After `error`: the main thread looks for an error once it has seen that this thread has finished.
        self.finished = True
        self._in_flight.wake()

    def _submit_all(self) -> None:
        for item in self._inputs:
            if self._in_flight.gate.closed:
                return
            # A malformed item is checked off as well, for the inputs hold it.
            if self._options.is_done(item) and item.problem is None:
                self.skipped += 1
                continue
            if not self._in_flight.acquire_slot():
                return
            self._submit(item)

    def _submit(self, item: Item) -> None:
        priority, malformed = priority_of(item, self._options.priority_field)
        if malformed is not None:
            self._in_flight.add(malformed, None)
            return
        options = self._options
        try:
            future = self._manager.submit(options.run_item, item.value, priority=priority, once=options.once)
        except ShutdownError:
            if not self._in_flight.gate.closed:
                raise  # not the end of this run, but a manager that has stopped by itself
            return
        self._in_flight.add(item, future)
