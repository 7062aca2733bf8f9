"""Renewal: replaces the resources that were made before a refresh, a few at a time, so that no task waits for that.

A resource is as old as the beginning of its creation: what was begun before the refresh is *outdated*, even if it is there only
afterwards. Where there is room under the maximum, new workers are made first, up to a quarter of the target at a time, and for
each that is ready an outdated one is *called*: it ends as soon as it has no task. Where there is no room, one outdated worker
goes and its replacement follows, one after the other. So there are never fewer ready workers than the target less one; and
while no resource can be made, no further one of the outdated ones goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import actions as act
from .events import Seat
from .workers import WorkersTable, WorkerState

_SERVING = (WorkerState.READY, WorkerState.PARKED)
_SHARE = 4
"""So many steps make a whole pool new where there is room."""


@dataclass(frozen=True, slots=True)
class Roster:
    """The workers at one moment, as far as a renewal depends on them."""

    target: int
    retiring: int
    """``Retire`` actions that no worker has obeyed yet."""
    room: int
    """How many more may be made now, within the maximum."""
    failing: bool
    """Whether creations fail, and it is too early for another try."""


class Renewal:
    """See the module's docstring. Not thread-safe. Costs O(1) where nothing is outdated."""

    __slots__ = ("_called", "_pending", "_table", "active", "extra", "generation", "waits")

    def __init__(self, table: WorkersTable) -> None:
        self._table = table
        self.generation: int = 0
        """How many refreshes there were."""
        self.active: bool = False
        """Whether workers of before the last refresh may be left."""
        self.extra: int = 0
        """How many more workers than the target there should be meanwhile."""
        self.waits: bool = False
        """Whether a worker is to make room for its replacement as soon as a creation may be tried."""
        self._called: dict[Seat, None] = {}
        self._pending: dict[int, int] = {}
        """The refreshes that are not over: the number that the engine gave it, and the newest generation of workers then."""

    def request(self, number: int) -> None:
        """Makes every present worker outdated."""
        self.generation += 1
        self._table.outdate()
        self._pending[number] = self._table.outdated
        self.active = True

    def noticed(self, seat: Seat) -> None:
        """A worker is ready: perhaps one that was given up for stuck, and was overlooked until now."""
        self.active = self.active or self._is_old(seat)

    def _is_old(self, seat: Seat) -> bool:
        return seat.generation <= self._table.outdated

    @property
    def outdated(self) -> int:
        """How many workers that start or serve are outdated."""
        if not self.active:
            return 0
        return sum(map(self._is_old, self._seats(WorkerState.STARTING, *_SERVING)))

    @property
    def leaving(self) -> int:
        """How many workers were called and have not left."""
        states = self._table.states
        self._called = {seat: None for seat in self._called if states.get(seat) in _SERVING}
        return len(self._called)

    def settle(self, roster: Roster) -> list[act.Action]:
        """Returns the calls that are due, and sets ``extra``."""
        ready = self._seats(WorkerState.READY)
        left = [seat for seat in ready if self._is_old(seat) and seat not in self._called]
        staying = len(ready) - len(self._called.keys() & ready) - roster.retiring
        count = min(len(left), max(0, staying - roster.target))
        makes_room = not count and bool(left) and staying >= roster.target and self._has_to_make_room(roster)
        # Though it is not known whether one can be made: without a try, that would never be known.
        self.waits = makes_room and roster.failing
        if makes_room and not roster.failing:
            count = 1
        called = left[:count]
        self._called.update(dict.fromkeys(called))
        self.extra = min(len(left) - count, -(-roster.target // _SHARE))
        return [act.Renew(seat) for seat in called]

    def _has_to_make_room(self, roster: Roster) -> bool:
        # What ends makes room, and whatever starts or was called is one step, which is to be over before the next.
        busy = self._table.count(WorkerState.STARTING, WorkerState.ENDING, WorkerState.PARKED)
        under_way = busy + self.leaving + roster.retiring
        return not under_way and roster.room <= 0

    def rest(self) -> None:
        """Nothing is made for it now."""
        self.extra = 0
        self.waits = False

    def over(self, *, pool: bool) -> list[act.Action]:
        """Returns what announces the refreshes that are over. ``pool``: whether the pool of ``run_task`` has nothing outdated
        any more."""
        if not self.active:
            return []
        # Not those that hang: they are not waited for. One that comes back all the same is renewed.
        states = self._table.states
        oldest = min((seat.generation for seat in states if states[seat] is not WorkerState.STUCK), default=None)
        self.active = not pool or (oldest is not None and oldest <= self._table.outdated)
        if not self.active:
            self.rest()
        over = [number for number, newest in self._pending.items() if pool and (oldest is None or oldest > newest)]
        for number in over:
            del self._pending[number]
        return [act.Refreshed(number) for number in over]

    def _seats(self, *kept: WorkerState) -> list[Seat]:
        return [seat for seat, state in self._table.states.items() if state in kept]
