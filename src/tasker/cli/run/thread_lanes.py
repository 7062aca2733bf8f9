"""Lanes on threads, see `lanes`.

No lane holds more than the item that it runs: while a slow item runs, those behind it go to whichever worker is free.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import copy_context
from time import monotonic
from typing import Any

from tasker import Context, Priority, TaskManager
from tasker.context import BareContext

from . import records
from .feeds import Ticket
from .in_flight import InFlightItems
from .items import Item
from .lanes import SLICE_S, LaneFeed, forget_callbacks
from .result_encoder import ResultEncoder
from .task_wrapper import REFUSED, ItemResult, encoded
from .wall_clock import OFFSET


class ThreadLanes(LaneFeed):
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
        super().__init__(manager, in_flight, version=version, lanes=lanes, once=once)
        self._task = task
        self._encoder = encoder
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

    def _submit_lane(self, ticket: Ticket) -> None:
        self._submit(ticket, Priority.NORMAL, self._lane, ticket)

    # The workers' side.

    def _run(self, ctx: Context, resource: Any, ticket: Ticket) -> None:
        """Runs waiting items, until none is left, the gate is shut, or the time is over."""
        self._begun()
        high, normal, low = self._levels
        gate, in_flight, task, encode = self._in_flight.gate, self._in_flight, self._task, self._encoder.quickly
        finished = in_flight.finished.append
        worker = ctx.worker
        tail = records.line_tail(worker.name if worker else None, self._version)
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
                forget_callbacks(context, ctx)
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
