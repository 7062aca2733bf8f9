"""Tests read_elsewhere: two equal readings are the answer, otherwise the loop's."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any

import pytest

from tasker.aio import other_threads
from tasker.aio.other_threads import read_elsewhere
from unit.interrupts import each_moment


def test_two_equal_readings() -> None:
    """It reads until two in a row are equal, and does not ask the loop."""
    loop = asyncio.new_event_loop()
    readings = iter([1, 2, 3, 3, 4])
    assert read_elsewhere(loop, lambda: next(readings)) == 3
    assert next(readings) == 4
    loop.close()


async def in_loop(fn: Any) -> Any:
    return await asyncio.to_thread(fn, asyncio.get_running_loop())


def test_numbers_that_change_all_the_time() -> None:
    """The loop reads them in its own thread."""
    numbers = count()
    threads: list[threading.Thread] = []

    def read() -> int:
        threads.append(threading.current_thread())
        return next(numbers)

    answer = asyncio.run(in_loop(lambda loop: read_elsewhere(loop, read)))
    assert answer == len(threads) - 1
    assert threads[-1] is threading.main_thread()
    assert threading.main_thread() not in threads[:-1]


def test_a_loop_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises in place of waiting for ever."""
    monkeypatch.setattr(other_threads, "_PATIENCE", 0.01)
    loop, numbers = asyncio.new_event_loop(), count()
    with pytest.raises(RuntimeError, match="did not answer"):
        read_elsewhere(loop, lambda: next(numbers))
    loop.close()


def test_interrupted_while_the_loop_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at each moment: the loop, which answers, goes on."""
    monkeypatch.setattr(other_threads, "_TRIES", 1)
    loop, numbers, struck = asyncio.new_event_loop(), count(), []
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    for where, _, _ in each_moment(lambda: read_elsewhere(loop, lambda: next(numbers))):
        struck.append(where)
        alive = threading.Event()
        loop.call_soon_threadsafe(alive.set)
        assert alive.wait(20), where
    assert len(struck) > 5
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()
