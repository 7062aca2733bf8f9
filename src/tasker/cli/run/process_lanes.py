"""Lanes on child processes, see `lanes`: a lane sends its child as many waiting items at once as take it a few milliseconds.

A child takes a permit before it begins an item, and notes its result before it begins the next one, see `chunk_slots`. So:

1. An item that waits behind a slow one is taken back, and goes to whichever worker is free. So does one behind an item that
   raises or crashes, and behind the item that runs when the run is stopped.
2. Of an attempt that failed, the item is known: it is the one that has begun and has no result. It becomes the item of the
   lane's ticket. The items before it are done, whatever became of the child.
3. If a lane fails before it has begun an item, the items go one by one from then on, so that each has its own attempts.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from time import monotonic
from typing import Any

from tasker import Priority, ResourceError, TaskCancelled, TaskFuture, TaskManager

from . import records
from .chunk_slots import MOST_ITEMS, Slot, Slots
from .feeds import Completion, Ticket
from .in_flight import InFlightItems
from .items import Item
from .jobs import Job
from .lanes import SLICE_S, LaneFeed, Waiting
from .process_jobs import ChunkInChild, ItemInChild, refuser

LOOK_S = 0.005
"""Seconds between two looks at whether items wait behind a slow one."""
GRAIN_S = 0.0005
"""Seconds of work that are not worth another lane, which costs half as much."""
OVERHEAD_S = 3e-6
"""Seconds that an item takes a child beside its own, about."""
MOST_CHARACTERS = 1 << 18
"""Characters of a chunk's items, about."""


class Chunk:
    """The task of a lane. It takes its items when it is pickled, which is when it is sent to a child."""

    def __init__(self, feed: ProcessLanes, ticket: Ticket, task: Any) -> None:
        self._feed = feed
        self.ticket: Ticket = ticket
        self.is_begun: bool = False
        """Whether it counts as queued no more."""
        self.level: deque[Waiting] = deque()
        """Where its items come from."""
        self.items: list[Waiting] = []
        """What was sent and not taken back."""
        self.slot: Slot | None = None
        """While it has sent items."""
        self.passed: int = 0
        """How many of the items have been handed over."""
        self.seen: int = -1
        """How many had a result at the last look."""
        # Messages name the user's function.
        functools.update_wrapper(self, task, ("__module__", "__name__", "__qualname__"), ())

    def __call__(self, ctx: Any, resource: Any) -> Any:
        raise AssertionError("only its counterpart in a child is called")

    def __reduce__(self) -> Any:
        return self._feed.load(self)


class ProcessLanes(LaneFeed):
    """See the module's docstring."""

    def __init__(
        self,
        manager: TaskManager[Any],
        in_flight: InFlightItems,
        job: Job,
        settings: dict[str, Any],
        *,
        slots: Slots,
        lanes: int,
        once: bool,
    ) -> None:
        """``slots``: closed in the end."""
        super().__init__(manager, in_flight, version=str(job.version), lanes=lanes, once=once)
        self._task = job.task
        self._job = job.path, settings, job.shown
        self._lock = threading.Lock()
        """Held while the fields of a chunk change, or the slots."""
        self._slots = slots
        self._chunks: dict[Ticket, Chunk] = {}
        self._one_by_one = False
        self._pace = self._slow = SLICE_S
        self._grain = 1
        """Items that are not worth two lanes."""

    def add(self, item: Item, priority: Priority) -> None:
        level, queued = self._levels[priority], len(self._queued)
        level.append((item, monotonic()))
        if not queued or self._pace >= self._slow or (queued < self._most and len(level) > queued * self._grain):
            self._send()

    def _wanted(self, waiting: int) -> int:
        return min(-(-waiting // self._grain), super()._wanted(waiting))

    def _submit_lane(self, ticket: Ticket) -> None:
        chunk = Chunk(self, ticket, self._task)
        self._chunks[ticket] = chunk
        self._submit(ticket, Priority.NORMAL, chunk)

    # The worker's side, when it sends a task.

    def load(self, chunk: Chunk) -> Any:
        """Returns what a chunk is pickled as. It may be pickled several times before it begins, and for each attempt."""
        with self._lock:
            if self._in_flight.gate.closed:
                return refuser, ()
            ticket = chunk.ticket
            if chunk.slot is not None and chunk.slot.is_entered:  # a further attempt
                self._leave(chunk, again=False)
                # Of this attempt, the future will know.
                ticket.first, ticket.span = ticket.span, None
            if ticket.item is None and not chunk.items:
                self._fill(chunk)
            if ticket.item is not None:
                return ItemInChild, (*self._job, ticket.item.text)
            if chunk.slot is None or not chunk.items:
                return refuser, ()
            return ChunkInChild, (*self._job, chunk.slot.address, SLICE_S, [item.text for item, _ in chunk.items])

    def _fill(self, chunk: Chunk) -> None:
        if not chunk.is_begun:
            chunk.is_begun = True
            self._begun()
        if self._in_flight.gate.shut:
            return
        items = self._next_items(chunk)
        if items and not self._one_by_one:
            try:
                chunk.slot = chunk.slot or self._slots.take()
                chunk.slot.grant(len(items))
            except OSError:  # no descriptors left
                self._one_by_one = True
        if items and self._one_by_one:
            chunk.level.extendleft(reversed(items[1:]))
            chunk.ticket.item, chunk.ticket.queued_at = items[0]
            return
        chunk.items, chunk.passed, chunk.seen = items, 0, -1

    def _next_items(self, chunk: Chunk) -> list[Waiting]:
        items: list[Waiting] = []
        most, room = self._size(), MOST_CHARACTERS
        high, normal, low = self._levels
        chunk.level = level = high or normal or low
        while level and len(items) < most and room > 0:
            try:
                waiting = level.popleft()
            except IndexError:  # `close` was faster
                break
            items.append(waiting)
            room -= len(waiting[0].text)
        return items

    def _size(self) -> int:
        """Returns how many items to send."""
        if self._one_by_one:
            return 1
        return max(
            1, min(max(self.waiting // self._most, self._grain), int(SLICE_S / max(self._pace, 1e-6)), MOST_ITEMS)
        )

    # What became of the items. With the lock held.

    def _settle(self, chunk: Chunk) -> None:
        """Takes back what has not begun, and hands over what is done."""
        slot = chunk.slot
        if slot is None:
            return
        unbegun = slot.revoke()
        if unbegun:
            back = chunk.items[-unbegun:]
            del chunk.items[-unbegun:]
            chunk.level.extendleft(reversed(back))
        done = slot.done - chunk.passed
        if done:
            self._hand_over(chunk, slot, done)

    def _hand_over(self, chunk: Chunk, slot: Slot, done: int) -> None:
        future = chunk.ticket.future
        tail = records.line_tail(future.worker if future is not None else None, self._version)
        lines = []
        spent = 0.0
        items = chunk.items[chunk.passed : chunk.passed + done]
        for (item, queued_at), (started, ended, text) in zip(items, slot.results(done), strict=True):
            wait, seconds = round(started - queued_at, 6), ended - started
            lines.append((item, records.done_line(item, text, wait, (started, ended), tail), wait, seconds))
            spent += seconds
        chunk.passed += done
        self._pace = spent / done
        self._grain = max(1, int(GRAIN_S / (self._pace + OVERHEAD_S)))
        self._in_flight.finished.extend(lines)

    def _leave(self, chunk: Chunk, *, again: bool) -> None:
        """Ends what a chunk has sent. An item that has begun and has no result becomes the one of its ticket."""
        slot, ticket = chunk.slot, chunk.ticket
        if slot is None:
            return
        self._settle(chunk)
        if chunk.passed < len(chunk.items):
            ticket.item, ticket.queued_at = chunk.items[chunk.passed]
            ticket.span = slot.started, self._end_of(ticket, slot.started)
        elif not again:
            self._one_by_one = True
        chunk.slot, chunk.items = None, []
        self._slots.give_back(slot, again=again)

    @staticmethod
    def _end_of(ticket: Ticket, started: float) -> float:
        """Returns when the last attempt of a lane ended; ``started``, if that is not known."""
        future = ticket.future
        assert future is not None
        stamps = future.timestamps
        if stamps is not None:
            return max(started, stamps.finished_at)
        made = future.attempts_made
        return max(started, made[-1].ended_at) if made else started

    # The end of a lane, in the worker's thread or in that which cancels it.

    def _ended(self, ticket: Ticket, future: TaskFuture[Any]) -> None:
        chunk = self._chunks.pop(ticket)
        error = records.error_of(future)
        was_single = ticket.item is not None
        with self._lock:
            was_sent = chunk.slot is not None
            self._leave(chunk, again=error is None)
            if not chunk.is_begun:
                self._begun()
        del self._tickets[ticket]
        if ticket.item is None:
            if error is not None and self._is_for_all(error, was_sent=was_sent):
                self._in_flight.finished.append(Completion(ticket, future))
        elif error is None and not was_single:
            self._in_flight.finished.append(self._last_of(ticket, ticket.item, future))
        else:
            self._in_flight.finished.append(Completion(ticket, future))
        self._in_flight.bell.ring()
        self._go_on()

    @staticmethod
    def _last_of(ticket: Ticket, item: Item, future: TaskFuture[Any]) -> records.Record:
        """Returns the record of an item whose result is that of its lane."""
        assert ticket.span is not None
        return records.returned(item, future.result(), ticket.queued_at, ticket.span, future.worker)

    def _is_for_all(self, error: BaseException, *, was_sent: bool) -> bool:
        """Returns whether the error of a lane without an item is one that every lane would have."""
        if isinstance(error, ResourceError | TaskCancelled) or (self._one_by_one and not was_sent):
            return True
        self._one_by_one = True
        return False

    # The main thread's side.

    def look(self) -> float:
        for chunk in self._chunks.copy().values():
            if len(chunk.items) - chunk.passed > 1:
                self._look_at(chunk)
        return LOOK_S if self._chunks and self._pace < self._slow else super().look()

    def _look_at(self, chunk: Chunk) -> None:
        with self._lock:
            slot = chunk.slot
            if slot is None:
                return
            done, before = slot.done, chunk.seen
            chunk.seen = done
            if done != before:
                return
            # What is counted was written before the last look, so it can be read by now.
            self._settle(chunk)
        self._in_flight.bell.ring()
        self._go_on()

    def close(self) -> int:
        for chunk in self._chunks.copy().values():
            with self._lock:
                self._settle(chunk)
        return super().close()

    def dispose(self) -> None:
        with self._lock:
            self._slots.close()
