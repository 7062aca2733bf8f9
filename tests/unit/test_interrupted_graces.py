"""Tests Ctrl-C where the main thread uses other threads for a session: its graces, and errands."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import Call, wait_until
from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.remote.errand import Errand
from tasker.remote.graces import Graces
from tasker.threads.helpers import HelperThreads
from unit.futures import Thread
from unit.interrupts import each_moment


def test_each_moment_of_the_graces() -> None:
    """Whatever moment is struck, another thread can set and forget a grace, and it comes in time."""
    made: list[Graces] = []

    def use() -> None:
        made.append(Graces())
        graces = made[-1]
        graces.set("key", 1, 1e-3, lambda: None)
        graces.set("other", 2, 0.0, lambda: None)
        graces.forget("key")

    struck = 0
    for where, _, _ in each_moment(use, Graces.set, Graces.forget, threading.Thread.start, Flag.set):
        struck += where is not None
        graces, come = made[-1], threading.Event()
        Call(graces.set, "a", 3, 0.0, come.set).outcome(20)
        assert come.wait(20), where
        Call(graces.forget, "a").outcome(20)
        Call(graces.forget, "key").outcome(20)
        Call(graces.forget, "other").outcome(20)
        wait_until(lambda graces=graces: graces._thread is None, what=f"its thread ends: {where}")
    assert struck > 10


class Helps:
    """An engine whose threads are through before anything else happens, or that has none left."""

    def __init__(self, *, has_threads: bool = True) -> None:
        self.has_threads = has_threads

    def help(self, target: Callable[[], None], name: str, what: str) -> threading.Thread:
        """Makes the call."""
        if not self.has_threads:
            raise RuntimeError("can't start new thread")
        target()
        return threading.Thread()


def test_each_moment_of_an_errand() -> None:
    """What was made is had by the caller, or was undone, once."""
    made: list[object] = []
    undone: list[object] = []

    def fn() -> object:
        made.append(object())
        return made[-1]

    struck = 0
    for where, value, error in each_moment(
        lambda: Errand(fn, undone.append).outcome(Helps(), "make", "it"), Errand.outcome, Flag.wait
    ):
        if where is None:
            assert value is made.pop()
        else:
            struck += 1
            assert isinstance(error, KeyboardInterrupt), where
        assert undone == made, where
        undone.clear()
        made.clear()
    assert struck > 1


def test_a_caller_that_is_struck_while_it_waits() -> None:
    """What is made afterwards is undone by the thread that makes it."""
    gate = Gate()
    undone: queue.SimpleQueue[object] = queue.SimpleQueue()
    threads: list[Thread] = []

    class Struck(Flag):
        def wait(self, timeout: float | None = None) -> bool:
            gate.wait_arrivals(1)
            raise KeyboardInterrupt

    class Threads(Helps):
        def help(self, target: Callable[[], None], name: str, what: str) -> threading.Thread:
            threads.append(Thread(target))
            return threading.Thread()

    errand = Errand(gate.pass_through, undone.put)
    errand._done = Struck()
    with pytest.raises(KeyboardInterrupt):
        errand.outcome(Threads(), "make", "it")
    assert undone.empty()
    gate.open()
    threads[0].join()
    assert undone.qsize() == 1


def test_an_error_of_an_errand() -> None:
    """It is raised, and there is nothing to undo."""

    def fails() -> Any:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        Errand(fails, pytest.fail).outcome(Helps(), "make", "it")


def test_an_errand_without_threads() -> None:
    """The caller does it."""
    assert Errand(threading.current_thread, pytest.fail).outcome(Helps(has_threads=False), "make", "it") is (
        threading.current_thread()
    )


def test_a_caller_that_was_struck_before_it_is_made() -> None:
    """The thread that makes it undoes it."""
    undone: list[object] = []
    errand = Errand(lambda: "made", undone.append)
    errand._given_up = True
    errand._run()
    assert undone == ["made"]


def test_a_helper_whose_start_is_struck(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for it all the same."""
    gate, ended = Gate(), threading.Event()
    real = Daemon.start

    def start(self: Daemon) -> None:
        real(self)
        raise KeyboardInterrupt

    def work() -> None:
        gate.pass_through()
        ended.set()

    monkeypatch.setattr(Daemon, "start", start)
    helpers = HelperThreads(SimpleNamespace(config=SimpleNamespace(name="crew"), log=None))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        helpers.start(work, "end", "the end of it")
    gate.wait_arrivals(1)
    waiting = Call(helpers.join, threading.Thread(), None)
    assert not waiting.returned
    gate.open()
    waiting.outcome(20)
    assert ended.is_set()


def test_a_helper_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for it."""

    def start(self: Daemon) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Daemon, "start", start)
    helpers = HelperThreads(SimpleNamespace(config=SimpleNamespace(name="crew"), log=None))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        helpers.start(pytest.fail, "end", "the end of it")
    assert helpers._leaving == []
