"""Contexts whose time is that of a ``ManualClock``."""

from __future__ import annotations

import asyncio
from typing import Any

from tasker.context import Cause, Context, RootContext, RunTaskRoot, _DeadlineContext, _seconds, _ValueContext
from tasker.core.limited_calls import LimitedFace
from tasker.core.limited_task import LimitContext
from tasker.errors import DeadlockError

from .clock import ManualClock

_CLOCK = object()
"""The key under which a root has its clock."""


class ClockedContext(Context):
    """A context below a root that has a clock. What is derived from it by its methods has the same clock."""

    __slots__ = ()

    def child(self) -> Context:
        """See ``Context``."""
        return ClockedContext(self)

    def with_timeout(self, seconds: float) -> Context:
        """See ``Context``; the seconds of the clock."""
        return self.with_deadline(clock_of(self).now() + _seconds("timeout", seconds))

    def with_deadline(self, deadline: float) -> Context:
        """See ``Context``; a moment of the clock."""
        return _ClockedDeadline(self, _seconds("deadline", deadline))

    def with_value(self, key: object, value: Any) -> Context:
        """See ``Context``."""
        hash(key)
        return _ClockedValue(self, key, value)

    def remaining(self) -> float | None:
        """See ``Context``; the seconds of the clock."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - clock_of(self).now())

    def wait(self, timeout: float | None = None) -> bool:
        """Moves the clock, in place of sleeping, until the context is cancelled, its deadline passes or ``timeout``
        seconds have passed; returns whether it is cancelled. Raises ``DeadlockError`` if nothing would end the wait."""
        clock = clock_of(self)
        moments = [] if timeout is None else [clock.now() + max(0.0, timeout)]
        if (deadline := self.deadline) is not None:
            moments.append(deadline)
        end = min(moments, default=None)
        while not self.cancelled and (end is None or clock.now() < end):
            following = clock.next_call
            if end is None and following is None:
                raise DeadlockError("the wait has no limit, and nothing is due that could end it in virtual time")
            clock.advance_to(min(moment for moment in (end, following) if moment is not None))
        return self.cancelled

    async def wait_async(self, timeout: float | None = None) -> bool:
        """As ``wait``; lets other tasks of the loop run once."""
        await asyncio.sleep(0)
        return self.wait(timeout)


class _ClockedDeadline(ClockedContext, _DeadlineContext):
    __slots__ = ()

    def _expired(self) -> bool:
        return clock_of(self).now() >= self._deadline


class ClockedLimit(ClockedContext, LimitContext):
    """The context of a task that has a time limit."""

    __slots__ = ()

    def _now(self) -> float:
        return clock_of(self).now()


class ClockedLimitedFace(ClockedLimit, LimitedFace):
    """The same, where the context of the attempt is another one."""

    __slots__ = ()


class _ClockedValue(ClockedContext, _ValueContext):
    __slots__ = ()


class ClockedRoot(ClockedContext, RootContext):
    """The ancestor of the contexts of tasks."""

    __slots__ = ("_clock",)

    def __init__(self, values_of: Context | None, clock: ManualClock) -> None:
        RootContext.__init__(self, values_of)
        self._clock = clock

    def _lookup(self, key: object) -> Any:
        return self._clock if key is _CLOCK else super()._lookup(key)


class ClockedRunTaskRoot(ClockedContext, RunTaskRoot):
    """The ancestor of the contexts of ``run_task``, and a root that users make."""

    __slots__ = ("_clock",)

    def __init__(self, values_of: Context | None, clock: ManualClock) -> None:
        RunTaskRoot.__init__(self, values_of)
        self._clock = clock

    def _lookup(self, key: object) -> Any:
        return self._clock if key is _CLOCK else super()._lookup(key)


class ClockedFace(ClockedContext):
    """What a task sees of a context that was made without the clock, below a root that has it."""

    __slots__ = ()

    def cancel(self, cause: Cause = None) -> None:
        """See ``Context``. Cancels the context that it stands for."""
        assert self._parent is not None
        self._parent.cancel(cause)


def clock_of(context: Context) -> ManualClock:
    """Returns the clock of a context's root."""
    clock: ManualClock = context.value(_CLOCK)
    return clock
