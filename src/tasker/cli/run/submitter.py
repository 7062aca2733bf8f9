"""The thread that reads items and submits them, a bounded number ahead of the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tasker.cli.exit_codes import UsageError

from . import records
from .feeds import ItemFeed
from .in_flight import InFlightItems
from .in_order import InputOrder
from .inputs import RunInputs
from .items import Item
from .pacing import Pacing
from .priorities import priority_of


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How items become tasks."""

    priority_field: str | None
    is_done: Callable[[Item], bool] | None  # whether a former run has the item's result; None: there was none
    order: InputOrder | None = None
    pacing: Pacing | None = None


def reading_error(error: BaseException) -> str:
    """Returns what is said where the inputs cannot be read on."""
    if isinstance(error, UsageError):
        return str(error)
    return f"cannot go on reading: {error}" if isinstance(error, OSError) else f"reading failed: {error!r}"


class Submitter(threading.Thread):
    """Reads and submits until the inputs end, the run is stopped, or reading fails, which sets `error`.

    A thread of its own: reading standard input can block for ever, while results have to be written
    and Ctrl-C has to be answered.
    """

    def __init__(self, inputs: RunInputs, in_flight: InFlightItems, feed: ItemFeed, options: SubmitOptions) -> None:
        # A daemon: after Ctrl-C it may be blocked in a read that never returns.
        super().__init__(name="tasker-submitter", daemon=True)
        self._inputs = inputs
        self._in_flight = in_flight
        self._feed = feed
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
        self._in_flight.bell.call()

    def _submit_all(self) -> None:
        gate, acquire_slot, add = self._in_flight.gate, self._in_flight.acquire_slot, self._feed.add
        is_done, field, order = self._options.is_done, self._options.priority_field, self._options.order
        pacing, feed = self._options.pacing, self._feed
        for item in self._inputs:
            if gate.closed:
                return
            if item is None:
                self.skipped += 1
                continue
            # A malformed item is checked off as well, for the inputs hold it.
            if is_done is not None and is_done(item) and item.problem is None:
                self.skipped += 1
                continue
            if pacing is not None and not pacing.await_turn(lambda: feed.waiting):
                return
            if not acquire_slot():
                return
            if order is not None:
                order.expect(item.index)
            priority, malformed = priority_of(item, field)
            if malformed is not None:
                self._in_flight.add(records.malformed(malformed))
            else:
                add(item, priority)
        feed.finish()
