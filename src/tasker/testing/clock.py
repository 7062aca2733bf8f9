"""ManualClock: a clock that stands still until the test moves it."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tasker.control.finite import is_finite

if TYPE_CHECKING:
    from tasker.context import Context


class ManualClock:
    """Virtual time, in seconds. It moves when the test moves it, or something that takes part in it waits: a ``wait`` of
    one of its contexts returns at once and has moved the clock, as a sleep would have. Thread-safe.

    ``start``: the first moment; None: ``time.monotonic()``, so that a deadline that was computed from that still means
    what it should.
    """

    def __init__(self, start: float | None = None) -> None:
        self._now = time.monotonic() if start is None else _seconds("start", start, least=-math.inf)
        self._calls: list[tuple[float, int, list[Callable[[], object]]]] = []
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._calling = 0

    def now(self) -> float:
        """Returns the present moment."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the clock, and makes the calls that become due on the way, each at its moment, in this thread. What one
        of them raises is raised here. Raises ``ValueError`` for a negative number or one that is not finite."""
        self.advance_to(self._now + _seconds("seconds", seconds))

    def advance_to(self, moment: float) -> None:
        """Moves the clock to ``moment``, as ``advance`` does; a moment that has passed moves nothing."""
        _seconds("moment", moment, least=-math.inf)
        while True:
            with self._lock:
                if not self._calls or self._calls[0][0] > moment:
                    self._now = max(self._now, moment)
                    return
                due, _, call = heapq.heappop(self._calls)
                self._now = max(self._now, due)
            self._calling += 1
            try:
                for fn in call:
                    fn()
            finally:
                self._calling -= 1

    def call_later(self, seconds: float, fn: Callable[[], object]) -> Callable[[], None]:
        """Has ``fn()`` called when the clock has moved by ``seconds``, in the thread that moves it. Returns a function
        that takes it back. Raises ``ValueError`` as ``advance`` does."""
        call = [fn]
        with self._lock:
            heapq.heappush(self._calls, (self._now + _seconds("seconds", seconds), next(self._numbers), call))
        return call.clear

    @property
    def calling(self) -> bool:
        """Whether one of its calls is being made."""
        return self._calling > 0

    @property
    def next_call(self) -> float | None:
        """The moment of the next call, or None."""
        with self._lock:
            while True:  # docs/decisions/0043
                if not self._calls or self._calls[0][2]:
                    break
                heapq.heappop(self._calls)  # one that was taken back
            return self._calls[0][0] if self._calls else None

    def context(self) -> Context:
        """Returns a root ``Context`` on this clock: the deadlines of what is derived from it by its methods pass when
        the clock does, and its ``wait`` moves the clock. For functions that take a context, and for ``Config.ctx``."""
        from .clocked_context import ClockedRunTaskRoot  # noqa: PLC0415  it imports this module

        return ClockedRunTaskRoot(None, self)

    def __repr__(self) -> str:
        return f"<ManualClock {self._now:.6g}>"


def _seconds(what: str, value: float, *, least: float = 0.0) -> float:
    if not is_finite(value) or value < least:
        allowed = "a finite number of seconds" + ("" if least == -math.inf else ", at least 0")
        raise ValueError(f"{what} must be {allowed}, got {value!r}")
    return float(value)
