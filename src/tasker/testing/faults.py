"""What a script has happen to a creation or destruction: an error, a wait for the test, a delay."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

from tasker.control.finite import is_duration
from tasker.core.user_functions import is_async
from tasker.errors import DeadlockError

from .clock import ManualClock
from .inline_mark import is_inline

PATIENCE = 60.0
"""The seconds that a hang waits for its release, so that a test that forgets it ends."""


class Fault(Protocol):
    """Something that happens in a scripted call. One object may be used for several calls, in any threads."""

    def strike(self, clock: ManualClock | None) -> None:
        """Happens in this thread; raises what the call has to raise. ``clock``: the virtual time, if there is one."""

    async def astrike(self, clock: ManualClock | None) -> None:
        """Happens in this coroutine."""


class Raises:
    """Has a call raise an error; see ``raises``."""

    def __init__(self, error: BaseException | type[BaseException] | Callable[[], BaseException]) -> None:
        if not (isinstance(error, BaseException) or (callable(error) and not is_async(error))):
            raise TypeError(f"raises() takes an error, its type or a function that makes one, got {error!r}")
        self._error = error

    def strike(self, clock: ManualClock | None) -> None:
        """Raises the error."""
        if isinstance(self._error, BaseException):
            raise self._error
        raise self._error()

    async def astrike(self, clock: ManualClock | None) -> None:
        """Raises the error."""
        self.strike(clock)

    def __repr__(self) -> str:
        return f"raises({self._error!r})"


class Takes:
    """Has a call take time; see ``takes``."""

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        """How long it takes. May be changed at any time; a call that has begun keeps what it found."""

    def strike(self, clock: ManualClock | None) -> None:
        """Sleeps, or moves the clock if there is one."""
        if clock is None:
            time.sleep(self.seconds)
        else:
            clock.advance(self.seconds)

    async def astrike(self, clock: ManualClock | None) -> None:
        """Sleeps, or moves the clock if there is one."""
        if clock is None:
            await asyncio.sleep(self.seconds)
        else:
            clock.advance(self.seconds)

    def __repr__(self) -> str:
        return f"takes({self.seconds!r})"


class Hangs:
    """Has a call wait until the test releases it; see ``hangs``. Thread-safe."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._arrived = 0
        self._released = False
        self._wakers: list[Callable[[], object]] = []

    @property
    def arrived(self) -> int:
        """How many calls have come here, those that went on included."""
        return self._arrived

    @property
    def released(self) -> bool:
        """Whether ``release`` was called."""
        return self._released

    def release(self) -> None:
        """Lets every call go on, those that come later too. Harmless if repeated."""
        with self._changed:
            self._released = True
            self._changed.notify_all()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait_arrived(self, count: int = 1, timeout: float = PATIENCE) -> None:
        """Waits until ``count`` calls have come here. Raises ``AssertionError`` after ``timeout`` seconds. It blocks the
        thread; in a coroutine, use ``await_arrived``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= count, timeout):
                raise AssertionError(f"{self._arrived} of {count} calls came to {self!r} within {timeout} seconds")

    async def await_arrived(self, count: int = 1, timeout: float = PATIENCE) -> None:
        """As ``wait_arrived``, in a coroutine."""
        deadline = time.monotonic() + timeout
        while self._arrived < count:
            if time.monotonic() >= deadline:
                raise AssertionError(f"{self._arrived} of {count} calls came to {self!r} within {timeout} seconds")
            await asyncio.sleep(0.001)

    def strike(self, clock: ManualClock | None) -> None:
        """Waits for the release. Raises ``AssertionError`` when the patience is over, and ``DeadlockError`` at once in an
        inline manager, whose only thread would wait for itself."""
        with self._changed:
            self._arrive()
            if not self._released and is_inline():
                raise DeadlockError(
                    f"{self!r} hangs in the thread of an InlineTaskManager, so nothing could release it"
                )
            if not self._changed.wait_for(lambda: self._released, self._patience):
                raise AssertionError(f"{self!r} was not released within {self._patience} seconds")

    async def astrike(self, clock: ManualClock | None) -> None:
        """Waits for the release. Raises ``AssertionError`` when the patience is over."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            self._arrive()
            if self._released:
                return
            self._wakers.append(lambda: _wake(loop, woken))
        try:
            await asyncio.wait_for(woken.wait(), self._patience)
        except TimeoutError:
            raise AssertionError(f"{self!r} was not released within {self._patience} seconds") from None

    def _arrive(self) -> None:
        self._arrived += 1
        self._changed.notify_all()

    def __repr__(self) -> str:
        return "hangs()"


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(woken.set)
    except RuntimeError:  # the loop is closed: what waited in it is gone
        pass


def raises(error: BaseException | type[BaseException] | Callable[[], BaseException]) -> Raises:
    """Has the call raise ``error``: an error, its type, or a function that makes one. Raises ``TypeError`` for anything
    else."""
    return Raises(error)


def hangs(*, patience: float = PATIENCE) -> Hangs:
    """Has the call wait until the test calls ``release()`` of what this returns, or ``ScriptedResources.release``. After
    ``patience`` seconds it raises ``AssertionError``, so that a test that forgets the release ends."""
    return Hangs(patience)


def takes(seconds: float) -> Takes:
    """Has the call take ``seconds``. ``seconds`` of what this returns may be changed later. With
    ``ScriptedResources(clock=...)`` it moves the clock in place of sleeping. Raises ``ValueError`` for a negative
    number."""
    if not is_duration(seconds):
        raise ValueError(f"takes() needs a number of seconds, at least 0, got {seconds!r}")
    return Takes(seconds)
