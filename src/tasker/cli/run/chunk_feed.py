"""Items for `task_many`: one task of the manager for as many as --chunk says."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from tasker import Priority, TaskFuture, TaskManager

from . import records
from .feeds import Completion, ItemFeed, RunItem, Ticket
from .in_flight import InFlightItems
from .items import Item
from .task_wrapper import REFUSED

PATIENCE_S = 1.0
"""Seconds after which a chunk is run although it is not full."""


class _Chunk(Ticket):
    """What the manager has one task for."""

    __slots__ = ("tickets",)

    def __init__(self) -> None:
        super().__init__()
        self.tickets: list[Ticket] = []
        """One for each item."""


class ChunkFeed(ItemFeed):
    """Collects items, for each priority by itself, and submits them when there are enough, or after a while."""

    def __init__(
        self, manager: TaskManager[Any], in_flight: InFlightItems, run_items: RunItem, *, size: int, once: bool
    ) -> None:
        """`run_items`: gets the values of `size` items, or fewer, and returns as many outcomes."""
        super().__init__(manager, in_flight, once=once)
        self._run_items = run_items
        self._size = size
        self._lock = threading.Lock()
        """Held while the chunks that are being filled change: by the submitter, and by the main thread."""
        self._filling: dict[Priority, _Chunk] = {}

    def add(self, item: Item, priority: Priority) -> None:
        with self._lock:
            chunk = self._filling.setdefault(priority, _Chunk())
            chunk.tickets.append(Ticket(item))
            if len(chunk.tickets) < self._size:
                return
            del self._filling[priority]
        self._run(chunk, priority)

    @property
    def waiting(self) -> int:
        stats = self._manager.stats()
        return (stats.queued_tasks + stats.priority_tasks) * self._size

    def finish(self) -> None:
        self._run_older_than(0.0)

    def look(self) -> float:
        self._run_older_than(PATIENCE_S)
        return super().look()

    def close(self) -> int:
        with self._lock:
            dropped = sum(len(chunk.tickets) for chunk in self._filling.values())
            self._filling.clear()
        return dropped + super().close()

    def _run_older_than(self, seconds: float) -> None:
        until = monotonic() - seconds
        with self._lock:
            due = self._older_than(until)
            for priority, _ in due:
                del self._filling[priority]
        for priority, chunk in due:
            self._run(chunk, priority)

    def _older_than(self, until: float) -> list[tuple[Priority, _Chunk]]:
        return [(priority, chunk) for priority, chunk in self._filling.items() if chunk.queued_at <= until]

    def _run(self, chunk: _Chunk, priority: Priority) -> None:
        values = [ticket.item.value for ticket in chunk.tickets if ticket.item is not None]
        self._submit(chunk, priority, self._run_items, values)

    def _ended(self, ticket: Ticket, future: TaskFuture[Any]) -> None:
        del self._tickets[ticket]
        assert isinstance(ticket, _Chunk)
        outcomes = None if records.error_of(future) is not None else future.result()
        finished = self._in_flight.finished
        if outcomes is None or outcomes is REFUSED:
            finished.extend(Completion(one, future) for one in ticket.tickets)
        else:
            stamps = future.timestamps
            assert stamps is not None
            made = [
                records.returned(one.item, outcome, one.queued_at, stamps[1:], future.worker, future.attempts)
                for one, outcome in zip(ticket.tickets, outcomes, strict=True)
                if one.item is not None
            ]
            # Those that do not fit last: the others show that the job can do it.
            finished.extend(sorted(made, key=lambda record: record.is_misfit))
        self._in_flight.bell.ring()
