"""What is disabled in a forked child."""

from __future__ import annotations

import gc
import os
import signal
import weakref
from typing import Any

import pytest

from support.contended import Contended
from support.observers import RecordingCollector
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.core import fork
from unit.core.fakes import FakeWorker, ToyEngine


class Thing:
    """Counts its forks."""

    def __init__(self) -> None:
        self.forks = 0

    def forked(self) -> None:
        """Count."""
        self.forks += 1


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The hooks that are registered with the system from here on."""
    registered: list[Any] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: registered.append(hooks), raising=False)
    monkeypatch.setattr(fork, "_unhooked", [True])
    monkeypatch.setattr(fork, "_inherited", weakref.WeakKeyDictionary())  # what other tests have left is none of these
    return registered


def test_one_hook_for_all(hooks: list[Any]) -> None:
    """The hook is registered once, and calls everything that is still alive."""
    one, other, gone = Thing(), Thing(), Thing()
    for thing in (one, other, gone):
        fork.disable_in_children(thing)
    del thing, gone
    gc.collect()
    (hook,) = hooks
    assert sorted(hook) == ["after_in_child", "after_in_parent", "before"]
    hook["after_in_child"]()
    assert (one.forks, other.forks) == (1, 1)


def test_two_threads_that_are_the_first(hooks: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With two hooks, the signals that were blocked for a fork would be blocked for ever."""
    one, other = Thing(), Thing()
    monkeypatch.setattr(fork, "_unhooked", Contended([True], lambda: fork.disable_in_children(other)))
    fork.disable_in_children(one)
    (hook,) = hooks
    hook["after_in_child"]()
    assert (one.forks, other.forks) == (1, 1)


def test_the_latest_first(hooks: list[Any]) -> None:
    """What was begun inside of something else is undone before it."""
    order: list[str] = []

    class Named(Thing):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forked(self) -> None:
            order.append(self.name)

    things = [Named("outer"), Named("inner")]
    for thing in things:
        fork.disable_in_children(thing)
    (hook,) = hooks
    hook["after_in_child"]()
    assert order == ["inner", "outer"]


def test_one_that_fails(hooks: list[Any]) -> None:
    """The others are disabled all the same, and signals come in again; the error is Python's to report."""

    class Failing(Thing):
        def forked(self) -> None:
            super().forked()
            raise SystemExit("no")

    things = [Failing(), Failing(), Thing()]
    for thing in things:
        fork.disable_in_children(thing, (signal.SIGUSR2,))
    (hook,) = hooks
    hook["before"]()
    with pytest.raises(SystemExit, match="no"):
        hook["after_in_child"]()
    assert [thing.forks for thing in things] == [1, 1, 1]
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class Disturbed(dict[Any, Any]):
    """Another thread adds to it while it is looked through."""

    def items(self) -> Any:
        """Add one after the first."""
        for number, item in enumerate(super().items()):
            if not number:
                self[object()] = ()
            yield item


def test_another_thread_that_starts_a_manager(hooks: list[Any]) -> None:
    """It may do so at any moment of a fork: the signals are blocked, and what there was is disabled."""
    things = [Thing(), Thing()]
    for thing in things:
        fork.disable_in_children(thing, (signal.SIGUSR2,))
    fork._inherited.data = Disturbed(fork._inherited.data)  # type: ignore[attr-defined]
    (hook,) = hooks
    hook["before"]()
    assert signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    hook["after_in_child"]()
    assert [thing.forks for thing in things] == [1, 1]


def test_signals_that_a_child_must_not_receive_too_early(hooks: list[Any]) -> None:
    """They are blocked in the forking thread during the fork, and as before on both sides afterwards."""
    thing, blocked = Thing(), lambda: signal.SIGUSR2 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    fork.disable_in_children(thing, (signal.SIGUSR2,))
    (hook,) = hooks
    for after in ("after_in_parent", "after_in_child"):
        assert not blocked()
        hook["before"]()
        assert blocked()
        hook[after]()
        assert not blocked()
    del thing
    gc.collect()
    hook["before"]()
    assert not blocked()
    hook["after_in_parent"]()


def test_a_system_without_fork(monkeypatch: pytest.MonkeyPatch, hooks: list[Any]) -> None:
    """Nothing is registered, and nothing fails."""
    monkeypatch.delattr(os, "register_at_fork")
    fork.disable_in_children(Thing())
    assert hooks == []


def test_a_disabled_engine() -> None:
    """Refuses everything, says why, has no workers but keeps what they hold, and no lock that another thread held."""
    collector = RecordingCollector()
    engine = ToyEngine(collector=collector)
    worker = engine.workers[ev.Seat(1, 1)] = FakeWorker()
    lock = engine.counters.lock
    assert not engine.is_forked
    engine.disable("its threads are elsewhere")
    assert (engine.door, engine.is_forked, engine.closed, engine.killed) == (Door.FORKED, True, True, True)
    assert str(engine.shutdown_error()) == "task manager 'pool' was inherited through fork: its threads are elsewhere"
    assert (engine.workers, list(engine.inherited.values())) == ({}, [worker])
    assert engine.counters.lock is not lock
    engine.hooks.arrival()
    assert collector.arrivals == []
