"""Tests a Flag and a Daemon. ``test_interrupted_waits`` has what they are for."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from support.waiting import wait_until
from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from unit.futures import Thread


def test_threads_that_wait() -> None:
    """All of them are woken, also by a second call after a first one that was interrupted."""
    flag = Flag()
    waiting = [Thread(lambda: flag.wait(20)) for _ in range(2)]
    wait_until(lambda: len(flag._log) == 2, what="they wait")
    flag._set = True
    flag._log[0].release()
    flag.set()
    assert [thread.join() for thread in waiting] == [True, True]
    assert flag.wait() is True


def test_set_while_a_thread_begins_to_wait() -> None:
    """It does not sleep."""

    class Log(list[Any]):
        def append(self, entry: Any) -> None:
            if entry is not None:
                flag.set()
            super().append(entry)

    flag = Flag()
    flag._log = Log()
    assert flag.wait() is True


def test_a_wait_that_has_not_begun() -> None:
    """It leaves nothing behind."""

    class Log(list[Any]):
        def append(self, entry: Any) -> None:
            raise KeyboardInterrupt

    flag = Flag()
    flag._log = Log()
    with pytest.raises(KeyboardInterrupt):
        flag.wait()
    assert flag._log == []


def test_a_flag_that_was_cleared() -> None:
    """It is waited for again."""
    flag = Flag()
    flag.set()
    flag.set()
    flag.clear()
    assert (flag.is_set(), flag.wait(0)) == (False, False)
    waiting = Thread(lambda: flag.wait(20))
    flag.set()
    assert waiting.join() is True


def test_a_daemon_in_a_fork() -> None:
    """Its start can be asked about there."""
    daemon = Daemon(lambda: None, "forked")
    daemon.start()
    daemon.join(20)
    daemon._started._at_fork_reinit()
    assert daemon._started.is_set()


def test_threads_of_another_version(monkeypatch: Any) -> None:
    """Where nothing is known of how a thread starts, it is left as it is."""
    monkeypatch.setattr("tasker.core.daemon.threading", SimpleNamespace(Event=object))
    assert type(Daemon(lambda: None, "other")._started) is threading.Event


def test_two_threads_that_clear() -> None:
    """The one that comes too late does nothing."""

    class Log(list[Any]):
        def remove(self, entry: Any) -> None:
            super().remove(entry)  # the other thread
            super().remove(entry)

    flag = Flag()
    flag._log = Log()
    flag.set()
    flag.clear()
    assert not flag.is_set()
