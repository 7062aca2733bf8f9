"""Exceptions that other code sends to the thread of a resource, and that strike it between two calls."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import itertools
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from support.observers import RecordingLogger
from tasker import Context
from tasker.aio import own_thread
from tasker.aio.own_thread import OwnThread
from tasker.logs import GuardedLogger


class Struck(BaseException):
    """What is sent."""


class Strike:
    """Raises ``Struck`` in a thread that is started with it, at the line with this number of the module's own."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.struck: str = ""
        """Where it was."""

    def __call__(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != own_thread.__file__:
            return None
        if event == "line":
            if not self._left:
                self._left, self.struck = -1, f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise Struck(self.struck)
            self._left -= 1
        return self


class Engine:
    """What a thread needs of one."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.logger = RecordingLogger()
        self.log = GuardedLogger(self.logger, "struck", lambda: None)


async def called_twice(number: int) -> str:
    """Strikes a thread that makes two calls and ends. Returns where it was; "" if there are fewer lines."""
    strike, engine, made = Strike(number), Engine(), []
    thread = OwnThread(engine, "struck")
    results: list[Any] = []
    threading.settrace(strike)
    try:
        for one in range(2):
            try:
                results.append(await thread.call(contextvars.Context(), made.append, one))
            except Struck as error:
                results.append(error)
            threading.settrace(None)  # type: ignore[arg-type]
        await thread.close()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    assert len(results) == 2
    assert sorted(set(made)) == made, "a call was made twice"
    assert len(made) + sum(isinstance(one, Struck) for one in results) >= 2, "a call was not made, and has a result"
    return strike.struck


async def test_a_strike_at_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is made once at most and has an outcome, and the thread ends when it has to."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)  # of a strike behind the last step
    places = []
    for number in itertools.count(2):  # before the first step, no thread can be protected
        if not (place := await asyncio.wait_for(called_twice(number), 10)):
            break
        places.append(place)
    assert {place.partition(":")[0] for place in places} == {"_run", "_answer", "_deliver", "first", "drop"}


@pytest.mark.parametrize("kind", [Struck, SystemExit, ValueError])
async def test_a_time_limit_that_comes_too_late(make: Any, kind: type[BaseException]) -> None:
    """It is logged and counted, and the next task runs in the same thread, with the same resource."""
    logger = RecordingLogger()

    def where(ctx: Context, resource: Any) -> tuple[int, Any]:
        return threading.get_ident(), resource

    async with make(logger=logger) as m:
        first = await m.queue_task(where)
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(first[0]), ctypes.py_object(kind)) == 1
        assert [await m.queue_task(where) for _ in range(3)] == [first] * 3
        assert m.stats().user_errors == 1
    assert f"the thread tasker-1 raised {kind.__name__}" in logger.text("error")


def test_a_thread_that_is_never_idle() -> None:
    """What wakes it for a call that it has found by itself does not pile up."""
    line, call = own_thread._Line(), own_thread._Call(print, (), None)  # type: ignore[arg-type]
    line.put(call)
    for _ in range(100):
        line.put(call)
        assert line.first() is call
        line.drop()
    assert line._tokens.qsize() == 1
