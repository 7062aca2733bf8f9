"""The supervisor's thread goes on, whatever strikes it."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import Call, wait_until


@pytest.mark.parametrize("kind", [SystemExit, MemoryError])
def test_an_asynchronous_exception(threads: Any, kind: type[BaseException]) -> None:
    """It is logged and counted, and later events are handled: stop() returns."""
    logger = RecordingLogger()
    with threads.build(logger=logger) as m:
        assert m.queue_task(lambda ctx, resource: "value") == "value"
        supervisor = m._engine.thread
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(supervisor.ident), ctypes.py_object(kind))
        m.resize(max_worker_count=2)  # wakes the thread
        wait_until(lambda: "the supervisor's thread raised" in logger.text("error"))
        assert m.stats().user_errors == 1
        assert supervisor.is_alive()
        assert Call(m.stop).outcome(20).killed is False
