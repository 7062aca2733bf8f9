"""Waiting for a condition instead of sleeping: every wait here fails, with what it waited for, when its time is up."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import Callable
from typing import Any

SLOWER = 6.0 if os.environ.get("TASKER_TEST_RAY") else 1.0
"""How much more time everything gets over actors of Ray, which take seconds to start on a busy machine."""
FEWER = int(SLOWER)
"""By how much a load is divided there that replaces a resource for each of many tasks."""
WAIT = 25.0 * SLOWER
POLL = 0.002


def wait_until(predicate: Callable[[], Any], timeout: float = 10.0, what: str = "") -> None:
    """Block until `predicate()` is true, in a test that is a plain function."""
    deadline = time.monotonic() + timeout * SLOWER
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout * SLOWER} s: {what or predicate!r}")
        time.sleep(POLL)


async def eventually(predicate: Callable[[], Any], timeout: float = 10.0, what: str = "") -> None:
    """Wait until `predicate()` is true, in a test that is a coroutine function."""
    deadline = time.monotonic() + timeout * SLOWER
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout * SLOWER} s: {what or predicate!r}")
        await asyncio.sleep(POLL)


async def failure(future: Any) -> BaseException:
    """Wait for the error that a caller gets."""
    try:
        value = await future
    except BaseException as error:
        return error
    raise AssertionError(f"no error, but {value!r}")


async def throughout(predicate: Callable[[], Any], seconds: float, what: str = "") -> None:
    """Check that `predicate()` stays true for `seconds`: for what must *not* happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert predicate(), f"became false: {what or predicate!r}"
        await asyncio.sleep(POLL)


class Call:
    """A blocking call that runs in a thread of its own, so that one call can't delay another."""

    def __init__(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._outcome: list[Any] = []
        self._failed = False
        self._done = threading.Event()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                self._outcome.append(context.run(fn, *args, **kwargs))
            except BaseException as error:
                self._failed = True
                self._outcome.append(error)
            self._done.set()

        self._thread = threading.Thread(target=run, name="contract-call", daemon=True)
        self._thread.start()

    @property
    def returned(self) -> bool:
        """Whether the call has ended."""
        return self._done.is_set()

    def outcome(self, timeout: float = WAIT) -> Any:
        """Return or raise what the call did; AssertionError if it has not ended after `timeout` seconds."""
        if not self._done.wait(timeout):
            raise AssertionError(f"the call did not return within {timeout} s")
        return self._take()

    async def aoutcome(self, timeout: float = 60.0 * SLOWER) -> Any:
        """Do what `outcome` does, without blocking the event loop."""
        deadline = time.monotonic() + timeout
        await asyncio.sleep(0)  # a loop of quick calls must not starve the other coroutines
        pause = 0.0005
        while not self._done.is_set():
            if time.monotonic() > deadline:
                raise AssertionError(f"the call did not return within {timeout} s")
            await asyncio.sleep(pause)
            pause = POLL
        return self._take()

    def _take(self) -> Any:
        self._thread.join()
        value = self._outcome.pop()
        try:
            if self._failed:
                raise value
            return value
        finally:
            del value  # the traceback of the error refers to this frame


async def in_thread(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a blocking call in a thread of its own and return its outcome."""
    return await Call(fn, *args, **kwargs).aoutcome()
