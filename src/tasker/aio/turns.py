"""TurnBudget: bounds how long the workers of a manager together hold the loop in one of its turns.

A worker runs tasks that never wait for a slice of time, then it lets the loop run anything else. The loop runs whatever
is ready before it looks at timers and sockets again, so without a common bound the slices of all workers would add up.

Rejected: a budget that each worker looks at in each turn, which costs O(workers) in each turn. The workers for which
there is no time left stand in line, and cost nothing until their turn comes.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sized
from time import monotonic

SLICE = 0.001
"""The seconds for which one worker runs tasks that never wait."""
BUDGET = 0.005
"""The seconds for which all workers of a manager do so in one turn of the loop."""
_FEW = round(BUDGET / SLICE)
"""The number of slices that fit into the budget."""
LENT = SLICE / 2
"""The seconds for which callers make first steps of tasks in one turn of the loop (see ``Lending``), all of them together. Two
such times may fall into one turn, the end of the last one and a new one; so together they are no more than one worker more."""


class TurnBudget:
    """Shares the turns of a loop out among the workers of one manager. Used in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, workers: Sized, clock: Callable[[], float] = monotonic) -> None:
        self._loop = loop
        self._workers = workers
        self.clock: Callable[[], float] = clock
        """The clock of the workers' slices, in seconds."""
        self.lent_until: float | None = None
        """Until when callers may begin tasks in this turn; None while none has begun one."""
        self._end: float | None = None
        """When the budget of this turn is used up; None while no worker has begun a slice in this turn."""
        self._refused = False
        """Whether a worker has found the budget of this turn used up."""
        self._most = _FEW
        """The number of workers that are called from the line in one turn."""
        self._line: deque[asyncio.Future[None]] = deque()
        self._counts = False
        """Whether the loop is going to call ``_next_turn``."""
        self._variables = contextvars.Context()

    async def slice(self) -> float:
        """Begins a slice, in a turn of the loop in which there is time for it. Returns when it ends."""
        while (end := self.begin()) is None:
            await self.turn()
        return end

    def begin(self) -> float | None:
        """Begins a slice. Returns when it ends, or None if the budget of this turn is used up."""
        now = self.clock()
        if self._fits():
            return now + SLICE
        end = self._end_of_turn(now)
        if now >= end:
            self._refused = True
            return None
        return min(now + SLICE, end)

    def lend(self, now: float) -> float:
        """Begins the time of the callers in this turn of the loop. Returns when it ends: in the past, if the budget of this turn is
        used up."""
        self.lent_until = end = now + LENT if self._fits() else min(now + LENT, self._end_of_turn(now))
        self._count()
        return end

    def _fits(self) -> bool:
        """Returns whether a slice of each worker and the time of the callers fit into the budget, whatever they do."""
        return len(self._workers) < _FEW

    def _end_of_turn(self, now: float) -> float:
        """Returns when the budget of this turn is used up."""
        if self._end is None:
            self._end = now + BUDGET
            self._count()
        return self._end

    async def turn(self) -> None:
        """Lets the loop run other tasks. Returns when the worker may try to begin a slice, or is cancelled: what is left
        of that, the worker absorbs."""
        try:
            if not self._line and not self._refused:
                await asyncio.sleep(0)
                return
            waiter = self._loop.create_future()
            self._line.append(waiter)
            self._count()
            await waiter
        except asyncio.CancelledError:
            pass

    def _count(self) -> None:
        if not self._counts:
            self._counts = True
            self._loop.call_soon(self._next_turn, context=self._variables)

    def _next_turn(self) -> None:
        # More of them where their tasks leave some of the budget, as tasks do that wait.
        self._most = _FEW if self._refused else 2 * self._most
        self._end, self._refused, self._counts, self.lent_until = None, False, False, None
        if not self._line:
            self._most = _FEW
            return
        # First this, then the workers: in the next turn of the loop, this is called before they go on, and they find
        # the whole budget.
        self._count()
        for _ in range(min(self._most, len(self._line))):
            waiter = self._line.popleft()
            if not waiter.done():  # cancelled
                waiter.set_result(None)
