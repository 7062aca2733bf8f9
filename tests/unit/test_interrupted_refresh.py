"""Tests Ctrl-C at each moment of the use of a refresh: the supervisor, which ends it, does not hang."""

from __future__ import annotations

import concurrent.futures as cf
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import Call
from tasker.core.counters import Counters
from tasker.threads.methods import RefreshFuture  # with all that a manager imports
from unit.futures import Owner
from unit.interrupts import each_moment


class Engine(Owner):
    """Begins a refresh, and leaves its end to the test."""

    thread = threading.Thread()
    counters = Counters()

    def __init__(self) -> None:
        super().__init__()
        self.notify: Callable[[bool], object] = bool

    def refresh(self, notify: Callable[[bool], object]) -> int:
        """Keeps what tells of the end."""
        self.notify = notify
        return 1

    def begin_refresh(self, number: int) -> None:
        """Does no more than that."""


def wait(refresh: RefreshFuture) -> None:
    """Looks once, as a wait that goes to sleep does."""
    with contextlib.suppress(TimeoutError):
        refresh.result(0)


USES: list[Callable[[RefreshFuture], object]] = [
    wait,
    lambda refresh: cf.wait([refresh], 0),
    lambda refresh: refresh.add_done_callback(lambda _: None),
    lambda refresh: (refresh.done(), refresh.running(), refresh.cancelled(), refresh.cancel(), repr(refresh)),
]


@pytest.mark.parametrize("use", USES, ids=["result", "wait", "add_done_callback", "questions"])
def test_each_moment(use: Callable[[RefreshFuture], object]) -> None:
    """Whatever moment is struck, the refresh can be ended, and whoever waits for it is told."""
    engine = Engine()
    refreshes = [RefreshFuture(engine)]
    struck = 0
    for where, _, _ in each_moment(lambda: use(refreshes[-1])):
        struck += where is not None
        Call(engine.notify, True).outcome(20)
        assert Call(refreshes[-1].result, 20).outcome(30) is True, where
        assert Call(cf.wait, refreshes[-1:], 20).outcome(30).done == {*refreshes[-1:]}, where
        refreshes.append(RefreshFuture(engine))
    assert struck > 3


@pytest.mark.parametrize("refreshed", [True, False])
def test_whoever_waits_is_told(refreshed: bool) -> None:
    """In each of the ways of the standard library."""
    engine = Engine()
    refresh: Any = RefreshFuture(engine)
    waits = [Call(refresh.result, 20), Call(cf.wait, [refresh], 20), Call(lambda: [*cf.as_completed([refresh], 20)])]
    told: list[Any] = []
    refresh.add_done_callback(told.append)
    with pytest.raises(TimeoutError, match=r"^a refresh has no outcome after 0 seconds$"):
        refresh.exception(0)
    assert (refresh.running(), refresh.done()) == (True, False)
    engine.notify(refreshed)
    result, waited, completed = [one.outcome(30) for one in waits]
    assert (result, waited.done, completed, told) == (refreshed, {refresh}, [refresh], [refresh])
    assert (refresh.running(), refresh.done(), refresh.cancelled()) == (False, True, False)
    assert refresh.exception() is None
    with pytest.raises(cf.InvalidStateError):
        refresh.set_result(True)
