"""The supervisor's thread goes on, whatever strikes it."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import Call, wait_until
from tasker import Context, TaskTimeout


@pytest.mark.parametrize("kind", [SystemExit, MemoryError])
def test_an_asynchronous_exception(threads: Any, kind: type[BaseException]) -> None:
    """It is logged and counted, and later events are handled: stop() returns."""
    logger = RecordingLogger()
    with threads.build(logger=logger) as m:
        assert m.queue_task(lambda ctx, resource: "value") == "value"
        supervisor = m._engine.thread
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(supervisor.ident), ctypes.py_object(kind))
        m.resize(max_worker_count=2)  # wakes the thread
        wait_until(lambda: f"raised {kind.__name__}" in logger.text("error"))  # in the midst of an event or between two
        assert m.stats().user_errors == 1
        assert supervisor.is_alive()
        assert Call(m.stop).outcome(20).killed is False


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_logger_that_hangs(threads: Any, end: str) -> None:
    """The call returns by its deadline and its report names the logger, once; when the logger returns, all is done as usual."""
    gate = threads.gate()

    class HangingLogger(RecordingLogger):
        def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
            if "killing" in msg or "stopping" in msg:
                gate.pass_through()

    with threads.build(logger=HangingLogger()) as m:
        assert m.queue_task(lambda ctx, resource: "value") == "value"
        report = Call(getattr(m, end), 0.2).outcome(20)
        assert report.abandoned == ("the supervisor (in the logger)",)
        assert Call(getattr(m, end), 0.1).outcome(20).abandoned == report.abandoned
        assert not gate.is_open
        gate.open()
        wait_until(lambda: m.stats().resources.alive == 0)


def test_a_callback_that_comes_with_the_limit(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that adds one in the moment in which its limit passes: the supervisor does not call it, and a kill ends in time."""
    callers, gate = [], threads.gate()
    strike = Context._strike

    def hang() -> None:
        callers.append(threading.current_thread())
        gate.pass_through()

    def added_just_before(context: Context, cause: Any) -> Any:
        if isinstance(cause, TaskTimeout):
            context.on_cancel(hang)
        return strike(context, cause)

    monkeypatch.setattr(Context, "_strike", added_just_before)
    with threads.build(worker_count=1, max_worker_count=1, cancel_grace=60.0) as m:
        supervisor = m._engine.thread
        future = m.submit(lambda ctx, resource: (gate.wait_arrivals(1), ctx.raise_if_cancelled()), timeout=0.05)
        with pytest.raises(TaskTimeout):
            future.result(20)
        assert callers != [supervisor]
        report = Call(m.kill, 0.2).outcome(20)
        assert (report.killed, report.abandoned) == (True, ("a callback of Context.on_cancel",))
        gate.open()
