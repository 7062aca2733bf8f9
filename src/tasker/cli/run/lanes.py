"""Lanes: tasks of the manager that run one item after the other, so that a tiny item does not cost a task.

Items wait in deques, one for each priority, from which every lane takes the next one. No lane holds more than the item that
it runs: while a slow item runs, those behind it go to whichever worker is free.

1. While items wait, at least one lane is queued, or runs and will look at the deques before it ends. The submitter appends an
   item, and then looks at `_queued`; a lane removes itself from `_queued`, and then looks at the deques. So at least one of the
   two sees what the other did.
2. While items take long, a lane is queued for each that waits, so that the manager sees how much there is to do, and makes
   burst workers. While they are tiny, there are as many as workers.
3. A lane runs for at most `SLICE_S` and one item, so that its worker hears of retries, and of orders to retire.
4. An item that raises becomes the item of its lane's ticket: the lane raises the error, and from there on the manager judges it
   and tries it again, as if the task had been submitted for it. A further attempt runs that item alone.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from time import monotonic
from typing import Any

from tasker import Context, Priority, ShutdownError, TaskManager
from tasker.cli import strict_json
from tasker.context import BareContext

from . import records
from .feeds import ItemFeed, Ticket
from .in_flight import InFlightItems
from .items import Item
from .result_encoder import ResultEncoder
from .task_wrapper import REFUSED, ItemResult, encoded
from .wall_clock import OFFSET

SLICE_S = 0.005
SLOW_S = 0.001
"""Items that take so many seconds are not worth a lane for several."""

Waiting = tuple[Item, float]
"""An item, and since when it waits."""


class LaneFeed(ItemFeed):
    """See the module's docstring."""

    def __init__(
        self,
        manager: TaskManager[Any],
        in_flight: InFlightItems,
        task: Callable[..., Any],
        encoder: ResultEncoder,
        *,
        version: str,
        lanes: int,
        once: bool,
    ) -> None:
        """`version`: that of the job, for the result lines. `lanes`: how many are queued while items are tiny."""
        super().__init__(manager, in_flight, once=once)
        self._task = task
        self._encoder = encoder
        self._tail = f', "job": {strict_json.encode(version)}}}\n'
        self._most = lanes
        self._levels: tuple[deque[Waiting], ...] = tuple(deque() for _ in Priority)
        self._queued: deque[None] = deque()
        """An element for each lane that has not begun."""
        self._pace = SLOW_S
        """Seconds that an item of the last lane took: slow, as long as nothing is known."""
        self._has_results = False

        def lane(ctx: Context, resource: Any, ticket: Ticket) -> ItemResult | None:
            if ticket.item is not None:
                return self._again(ctx, resource, ticket)
            self._run(ctx, resource, ticket)
            return None

        # Messages name the user's function.
        functools.update_wrapper(lane, task, ("__module__", "__name__", "__qualname__"), ())
        self._lane = lane

    # The submitter's side.

    def add(self, item: Item, priority: Priority) -> None:
        self._levels[priority].append((item, monotonic()))
        if len(self._queued) < self._most or self._pace >= SLOW_S:
            self._send()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._levels))

    def reopen(self) -> None:
        self._go_on()

    def close(self) -> int:
        super().close()
        dropped = 0
        for level in self._levels:
            while level:
                try:
                    level.popleft()
                except IndexError:  # a lane that had passed the gate before
                    break
                dropped += 1
        return dropped

    def _send(self) -> None:
        self._queued.append(None)
        self._submit(ticket := Ticket(), Priority.NORMAL, self._lane, ticket)

    # The workers' side.

    def _run(self, ctx: Context, resource: Any, ticket: Ticket) -> None:
        """Runs waiting items, until none is left, the gate is shut, or the time is over."""
        with suppress(IndexError):  # it was given back to the queue, and begins once more
            self._queued.pop()
        high, normal, low = self._levels
        gate, in_flight, task, encode = self._in_flight.gate, self._in_flight, self._task, self._encoder.quickly
        finished = in_flight.finished.append
        worker = ctx.worker
        tail = f', "worker": {strict_json.encode(worker.name if worker else None)}{self._tail}'
        now, new_context, variables, rounded, offset = monotonic, BareContext, copy_context, round, OFFSET
        began = ended = now()
        until, count = began + SLICE_S, 0
        while not gate.shut and (level := high or normal or low):
            try:
                item, queued_at = level.popleft()
            except IndexError:
                continue  # another lane was faster
            # As `ctx.child()`, which would be one call more.
            context = new_context()
            context._parent = ctx
            context._cause = None
            context._watchers = []
            started = now()
            try:
                value = task(context, resource, item.value)
                try:
                    text = encode(value)
                    wait, head = (
                        rounded(started - queued_at, 6),
                        f'{{"index": {item.index}, "input": {item.text}, "status"',
                    )
                    ended = now()
                    seconds = ended - started
                    line = (
                        f'{head}: "done", "result": {text}, "attempts": 1, "wait_s": {wait}, '
                        f'"execution_s": {rounded(seconds, 6)}, "started_at": {started + offset:.6f}{tail}'
                    ).encode()
                except Exception:  # it has no JSON form, or only after a second look; or the input has surrogates
                    self._settle(item, value, queued_at, started, worker.name if worker else None)
                    ended = now()
                else:
                    finished((item, line, wait, seconds))
            except BaseException:
                self._hand_over(item, queued_at, started, ticket)
                raise
            count += 1
            if context._watchers:
                _forget(context, ctx)
            if ended >= in_flight.due:
                in_flight.bell.ring()
            if ended >= until or variables():  # the next task of the worker gets a context without those that were set
                break
        self._end(count, ended - began)

    def _end(self, count: int, seconds: float) -> None:
        if count:
            self._has_results = True
            self._pace = seconds / count
            self._in_flight.bell.ring()
        self._go_on()

    def _hand_over(self, item: Item, queued_at: float, started: float, ticket: Ticket) -> None:
        """Makes an item that raised the item of its lane, and leaves those behind it to another lane."""
        ticket.item, ticket.queued_at = item, queued_at
        ticket.span = ticket.first = (started, monotonic())
        self._go_on()

    def _go_on(self) -> None:
        """Queues lanes for what still waits."""
        wanted = waiting = self.waiting
        if self._pace < SLOW_S:
            wanted = min(waiting, self._most)
        while len(self._queued) < wanted and not self._in_flight.gate.shut:
            try:
                self._send()
            except ShutdownError:
                return  # the submitter gets it as well

    def _settle(self, item: Item, value: Any, queued_at: float, started: float, worker: str | None) -> None:
        """Hands over a result of which the quick way makes no line."""
        outcome = encoded(value, self._encoder)
        record = records.returned(item, outcome, queued_at, (started, monotonic()), worker)
        if record.is_misfit and not self._has_results:
            # Until the main thread has decided whether the run goes on.
            self._in_flight.gate.shut = True
        self._in_flight.add(record)

    def _again(self, ctx: Context, resource: Any, ticket: Ticket) -> ItemResult:
        """Runs the item of a ticket once more."""
        if self._in_flight.gate.closed:
            return REFUSED
        assert ticket.item is not None
        started = monotonic()
        try:
            return encoded(self._task(ctx, resource, ticket.item.value), self._encoder)
        finally:
            ticket.span = (started, monotonic())


def _forget(context: Context, lane: Context) -> None:
    """Removes the callbacks of an item that has ended from the context of its lane."""
    for watcher in tuple(context._watchers):
        with suppress(ValueError):  # removed by the item itself
            lane._watchers.remove(watcher)
