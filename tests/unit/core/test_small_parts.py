"""The small values that both engines share."""

from __future__ import annotations

import inspect
import signal

from tasker.core.mapping import is_in_memory
from tasker.core.signals import Received
from tasker.core.user_functions import refused


def test_received_signals() -> None:
    """It is true once a signal came, and has them in order."""
    received = Received()
    assert not received
    received.signals += [signal.SIGINT, signal.SIGTERM]
    assert received
    assert received.signals == [signal.SIGINT, signal.SIGTERM]


def test_a_refused_coroutine() -> None:
    """It is closed, so that Python does not warn of it, and the error names it and what it needs."""

    async def fetch() -> None:
        """Never runs."""

    coroutine = fetch()
    error = refused(coroutine)
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    assert isinstance(error, TypeError)
    assert "fetch is an async task: it needs an AsyncTaskManager, a TaskManager can't run it" in str(error)


def test_inputs_in_memory() -> None:
    """Reading a collection never waits; reading an iterator may."""
    assert is_in_memory(range(3))
    assert is_in_memory([1])
    assert not is_in_memory(iter([1]))
    assert not is_in_memory("text" for _ in range(3))
