"""How items become tasks of the manager: one task each, or lanes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context as Variables
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from tasker import Context, Priority, ShutdownError, TaskFuture, TaskManager

from . import records
from .in_flight import InFlightItems
from .items import Item
from .task_wrapper import Encoded

TICK_S = 0.1
"""Seconds between two looks at what is not urgent."""

RunItem = Callable[[Context, Any, Any], Any]


class Ticket:
    """What the manager has a task for. Without an item it is a right to take the next one."""

    __slots__ = ("first", "future", "item", "queued_at", "span")

    def __init__(self, item: Item | None = None) -> None:
        self.item: Item | None = item
        self.queued_at: float = monotonic()
        self.future: TaskFuture[Any] | None = None
        self.span: tuple[float, float] | None = None
        """From when to when the last attempt ran, where that is not what the future says."""
        self.first: tuple[float, float] | None = None
        """The same of the first attempt."""


class Completion(NamedTuple):
    """A task that has come to its end, with the outcome of its item; or, if the ticket has none, without having run one."""

    ticket: Ticket
    future: TaskFuture[Any]


class ItemFeed(ABC):
    """Takes items from the submitter, and sees to it that the manager runs them."""

    def __init__(self, manager: TaskManager[Any], in_flight: InFlightItems, *, once: bool) -> None:
        self._manager = manager
        self._in_flight = in_flight
        self._once = once
        self._tickets: dict[Ticket, None] = {}

    @abstractmethod
    def add(self, item: Item, priority: Priority) -> None:
        """Adds an item. For the submitter's thread. Raises ShutdownError if the manager has stopped by itself."""

    def finish(self) -> None:  # noqa: B027 - only chunks have to
        """No further item is added. For the submitter's thread. Raises ShutdownError like ``add``."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many items wait for a worker."""

    def reopen(self) -> None:  # noqa: B027 - only lanes have to
        """Goes on after the workers have found the gate shut, which is open again."""

    def look(self) -> float:
        """Sees to items that wait behind a slow one. By the main thread. Returns after how many seconds to call it again."""
        return TICK_S

    def dispose(self) -> None:  # noqa: B027 - only lanes on processes have to
        """Releases what it holds, once the manager has ended."""

    def close(self) -> int:
        """Cancels what waits. After the gate was closed, and by the main thread. Returns the number of items that will not be
        completed."""
        # A task that passed the gate before it was closed is running by the time its future is looked at here, and is left
        # alone; a task that is cancelled here would have found it closed. So no running task has its context cancelled.
        for ticket in self._tickets.copy():
            if ticket.future is not None and not ticket.future.running():
                ticket.future.cancel()
        return 0

    def _submit(self, ticket: Ticket, priority: Priority, task: Callable[..., Any], *args: Any) -> None:
        try:
            # In an empty context: a worker that submits may be in that of an item, which has set variables.
            ticket.future = future = Variables().run(
                self._manager.submit, task, *args, priority=priority, once=self._once
            )
        except ShutdownError:
            if not self._in_flight.gate.closed:
                raise  # not the end of this run, but a manager that has stopped by itself
            self._in_flight.add(None)
            return
        # Registered first: a ticket that has ended before this would stay for ever.
        self._tickets[ticket] = None
        future.add_done_callback(partial(self._ended, ticket))

    def _ended(self, ticket: Ticket, future: TaskFuture[Any]) -> None:
        del self._tickets[ticket]
        if ticket.item is not None or future.cancelled() or future.exception() is not None:
            self._in_flight.add(Completion(ticket, future))


class SingleFeed(ItemFeed):
    """One task for each item."""

    def __init__(
        self, manager: TaskManager[Any], in_flight: InFlightItems, run_item: RunItem, *, version: str, once: bool
    ) -> None:
        """`version`: that of the job, for the result lines."""
        super().__init__(manager, in_flight, once=once)
        self._run_item = run_item
        self._version = version

    def add(self, item: Item, priority: Priority) -> None:
        self._submit(Ticket(item), priority, self._run_item, item.value)

    def _ended(self, ticket: Ticket, future: TaskFuture[Any]) -> None:
        stamps, item = future.timestamps, ticket.item
        if stamps is None or item is None or future.attempts > 1 or records.error_of(future) is not None:
            super()._ended(ticket, future)
            return
        outcome = future.result()
        if type(outcome) is not Encoded:
            super()._ended(ticket, future)
            return
        # As nearly all do. Many at a time are written, and the main thread is not woken for each.
        del self._tickets[ticket]
        _, started, ended = stamps
        waited = round(max(0.0, started - ticket.queued_at), 6)
        line = records.done_line(
            item, outcome.text, waited, (started, ended), records.line_tail(future.worker, self._version)
        )
        self._in_flight.finished.append((item, line, waited, ended - started))
        if ended >= self._in_flight.due or not self._tickets:
            self._in_flight.bell.ring()

    @property
    def waiting(self) -> int:
        stats = self._manager.stats()
        return stats.queued_tasks + stats.priority_tasks
