"""Tests Ctrl-C at each moment of a wait: whoever then ends the wait, or waits again, does not hang."""

from __future__ import annotations

import concurrent.futures as cf
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.threads.future import TaskFuture
from unit.futures import Thread, new, run
from unit.interrupts import each_moment


def wait_for_all(futures: list[TaskFuture[Any]]) -> None:
    """Looks once, as a wait that goes to sleep does."""
    cf.wait(futures, timeout=0)


def wait_for_the_first(futures: list[TaskFuture[Any]]) -> None:
    """The same for one of them."""
    cf.wait(futures, timeout=0, return_when=cf.FIRST_COMPLETED)


def wait_one_by_one(futures: list[TaskFuture[Any]]) -> None:
    """The same with ``as_completed``."""
    with pytest.raises(TimeoutError):
        next(cf.as_completed(futures, timeout=1))


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has ``as_completed`` look once, without any sleep. The fixture starts its clock again."""
    moments: list[Iterator[float]] = []

    def restart() -> None:
        moments[:] = [iter([0.0, 1.0])]

    monkeypatch.setattr("concurrent.futures._base.time", SimpleNamespace(monotonic=lambda: next(moments[0], 2.0)))
    return restart


@pytest.mark.parametrize("wait", [wait_for_all, wait_for_the_first, wait_one_by_one], ids=lambda wait: wait.__name__)
def test_the_standard_library(wait: Callable[[Any], None], short_waits: Callable[[], None]) -> None:
    """Wherever Ctrl-C strikes, the thread that brings the outcome goes on, and so does a later wait in either thread."""
    futures: list[TaskFuture[Any]] = []

    def begin() -> None:
        short_waits()
        futures[:] = [new(), new()]
        wait(futures)

    struck = 0
    for where, _, error in each_moment(begin):
        if where is None:
            break
        struck += 1
        assert isinstance(error, KeyboardInterrupt), where
        if not futures:
            continue
        first, second = futures
        assert Thread(lambda first=first: run(first)).join() is True, where
        assert cf.wait(futures, 20, cf.FIRST_COMPLETED).done == {first}, where
        other = Thread(lambda both=(first, second): cf.wait(both, 20))
        assert Thread(lambda second=second: run(second)).join() is True, where
        assert other.join().done == {first, second}, where
        assert cf.wait(futures, 20).done == {first, second}, where
        futures.clear()
    assert struck > 50


def test_a_condition_that_was_never_released() -> None:
    """Its thread finds what has come since pending, until it waits: that ends at once."""
    future = new()
    future._condition.acquire()
    Thread(lambda: run(future)).join()
    assert future._state == "PENDING"
    for when in (cf.ALL_COMPLETED, cf.FIRST_COMPLETED, cf.FIRST_EXCEPTION):
        assert cf.wait([future], 20, when).done == {future}
    assert list(cf.as_completed([future], 20)) == [future]
    future._condition.release()
    assert future._state == "FINISHED"
    with pytest.raises(RuntimeError, match="not acquired"):
        future._condition.release()


def test_a_flag() -> None:
    """Whatever moment of ``wait`` is struck, another thread can set it, and the next wait ends."""
    flags: list[Flag] = []

    def wait() -> bool:
        flags.append(Flag())
        return flags[-1].wait(0)

    struck = 0
    for where, value, error in each_moment(wait, Flag.wait):
        struck += where is not None
        assert where is not None or value is False, error
        Thread(flags[-1].set).join()
        assert flags[-1].wait(20) is True
    assert struck > 3


def test_an_interrupted_set() -> None:
    """If it is repeated, all that wait are woken."""
    flags: list[Flag] = []
    waiting: list[Any] = []

    def begin() -> None:
        flag = Flag()
        flags.append(flag)
        waiting[:] = [Thread(lambda: flag.wait(20)) for _ in range(2)]

    begin()
    for _ in each_moment(lambda: flags[-1].set(), Flag.set):
        flags[-1].set()
        assert [thread.join() for thread in waiting] == [True, True]
        begin()
    flags[-1].set()


def test_the_start_of_a_thread() -> None:
    """Wherever it is struck, a thread that has begun gets to its work and ends."""
    daemons: list[tuple[Daemon, threading.Event]] = []

    def begin() -> None:
        ran = threading.Event()
        daemons.append((Daemon(ran.set, "struck"), ran))
        daemons[-1][0].start()

    struck = 0
    for where, _, _ in each_moment(begin, threading.Thread.start, Flag.wait, Flag.set):
        struck += where is not None
        daemon, ran = daemons[-1]
        if daemon.ident is not None or where is None:
            assert ran.wait(20), where
            daemon.join(20)
            assert not daemon.is_alive(), where
    assert struck >= 3
