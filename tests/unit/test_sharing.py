"""Shared values, over sessions that are none: who is told of the end of one."""

from __future__ import annotations

import os
import weakref
from typing import Any

import pytest

from support.disturbed import Disturbed
from tasker.remote import sharing
from tasker.remote.sharing import Key, Shared


class Told:
    """Sessions that note what they are told."""

    def __init__(self) -> None:
        self.keys: list[Key] = []

    def forget(self, key: Key) -> None:
        """Note it."""
        self.keys.append(key)


class Memory:
    """Where a shared value is."""

    def __init__(self) -> None:
        self.releases = 0

    def recipe(self, key: Key) -> Any:
        """It does not travel."""
        raise NotImplementedError

    def release(self) -> None:
        """Count it."""
        self.releases += 1


def test_another_thread_that_starts_a_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may do so at any moment of a close; all that were there before are told."""
    managers, memory = [Told(), Told()], Memory()
    known: Any = weakref.WeakSet(managers)
    known.data = Disturbed(known.data)
    monkeypatch.setattr(sharing, "_sessions", known)
    shared: Shared[Any] = Shared("a value", memory)
    shared.close()
    assert memory.releases == 1
    assert [one.keys for one in managers] == [[shared._key], [shared._key]]


def test_in_a_fork_of_the_process() -> None:
    """The copy there can be closed, although a thread of this process holds a lock meanwhile; nobody else is told."""
    managers, memory = Told(), Memory()
    sharing.notify_of_ends(managers)  # type: ignore[arg-type]
    shared: Shared[Any] = Shared("a value", memory)
    pid = os.fork()
    if not pid:
        status = 1
        try:
            shared.close()
            status = 2 * len(managers.keys) + 4 * (memory.releases != 1)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not shared.closed
    shared.close()
    assert managers.keys == [shared._key]
