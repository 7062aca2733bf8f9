"""What is recorded of one call of ``run_task``, or of one attempt of it, while it runs and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from tasker.control.health import Health
from tasker.core.inline_tries import InlineTries
from tasker.core.limited_task import TimedOut
from tasker.errors import WorkerLost
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .cancellation import restore


class Run:
    """Records one call of ``run_task``, or one attempt of it, so that a kill or a time limit can interrupt it."""

    def __init__(self, number: int, tries: InlineTries | None = None) -> None:
        self.number: int = number
        self.tries: InlineTries | None = tries
        """The call, where this is one of several attempts, or has a time limit."""
        self.queued: float = 0.0
        """When it, or the first attempt, began (``time.monotonic``)."""
        self.caller: asyncio.Task[Any] | None = asyncio.current_task()
        self.cancelling: int = self.caller.cancelling() if self.caller is not None else 0
        self.on_kill: Callable[[], object] | None = None
        """Called at a kill where the task cannot be interrupted: in a thread, or in another process."""
        self.interrupted: int = 0
        """How many times its caller was cancelled for that."""
        self._taken_back = 0
        self.blamed: BaseException | None = None
        """The error that ``check_health`` is asked about, if it is not the one that the caller gets."""
        self.returned: bool = False
        """Whether a task has returned elsewhere, although its caller was cancelled."""

    def interrupt(self) -> None:
        if self.on_kill is not None:
            self.on_kill()
        elif self.caller is not None:
            self.interrupted += 1
            self.caller.cancel()

    def strike(self) -> None:
        """Interrupts what can be, as a limit has passed. Elsewhere its context is cancelled, which is all that can be done."""
        if self.on_kill is None:
            self.interrupt()

    async def take_back(self) -> bool:
        """Takes the cancellation by a kill or a limit back. Returns whether the caller was cancelled by other code as well, and
        has to get that cancellation."""
        if not self.interrupted or self.caller is None:
            return False
        # If more requests are left than at the start, they are of other code.
        otherwise = self._uncancelled(self.caller)
        if not otherwise and self.caller._must_cancel:  # type: ignore[attr-defined]
            # The task has ended before the error was thrown, which would strike the caller's next ``await``.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                otherwise = self._uncancelled(self.caller)  # a kill may have come meanwhile, after a limit
                if otherwise:
                    restore(error)
        return otherwise

    def _uncancelled(self, caller: asyncio.Task[Any]) -> bool:
        """Takes back what was not taken back before. Returns whether more requests are left than at the start."""
        while self._taken_back < self.interrupted:
            self._taken_back += 1
            caller.uncancel()
        return caller.cancelling() > self.cancelling


class RunEnding:
    """How one call of ``run_task`` ends, or one attempt of it."""

    def __init__(
        self, stamps: TaskLifecycleTimestamps, error: BaseException | None, cancelled: bool, tries: InlineTries | None
    ) -> None:
        self.stamps: TaskLifecycleTimestamps = stamps
        self.error: BaseException | None = error
        self.cancelled: bool = cancelled
        self.tries: InlineTries | None = tries
        self.health: Health = Health.OK
        """What the error says of the resource."""
        self.unused: bool = False
        """Whether the task was not called, as it came too late."""
        self._raised = error
        self._timed_out: TimedOut | None = None

    def settle(self, *, lost: bool) -> None:
        """Finds out whether a limit has ended an attempt. ``lost``: whether its resource is gone in any case."""
        if self.error is None or self.tries is None:
            return
        timed_out = self._timed_out = self.tries.timed_out(self.error)
        if timed_out is not None:
            self.error, self.cancelled, self.unused = timed_out.error, False, timed_out.blameless
        if lost and issubclass(type(self.error), WorkerLost):
            self.health = Health.REPLACE

    def asks(self, usable: bool) -> bool:
        """Returns whether ``check_health`` is asked about a resource that is ``usable`` or not."""
        return usable or (self.tries is not None and not self.health.blames)

    def judged(self) -> BaseException | None:
        """Returns the error of the call, after it was decided whether another attempt follows."""
        if self.tries is None or self._raised is None or self.error is None:
            return self.error
        ran = self.stamps.finished_at - self.stamps.started_at
        return self.tries.judge(
            self._raised, self.error, self.health, ran, cancelled=self.cancelled, timed_out=self._timed_out
        )


def outcome_of(run: Run, raised: bool, value: Any, struck: asyncio.CancelledError | None) -> Any:
    """Returns what a task has returned in a thread or in another process, or raises its error; ``struck``, if its caller
    was cancelled meanwhile."""
    try:
        if struck is not None:
            # The outcome is dropped, as that of any call that was cancelled; but not what it says of the resource.
            if raised:
                run.blamed = value
            run.returned = not raised
            if issubclass(type(value), CoroutineType):
                value.close()
            raise struck
        if raised:
            raise value
        return value
    finally:
        del value, struck  # the error's traceback holds this frame
