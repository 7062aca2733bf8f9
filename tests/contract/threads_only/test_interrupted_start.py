"""Ctrl-C while a manager starts."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from unit.interrupts import each_moment

from support.resources import ScriptedResources
from support.waiting import wait_until
from tasker import Config, Context, TaskManager
from tasker.core import census
from tasker.threads.engine import Engine


class Struck:
    """An event whose waiter is interrupted once the event has come."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.set = self._event.set

    def wait(self) -> None:
        self._event.wait()
        raise KeyboardInterrupt


def test_ctrl_c_in_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets KeyboardInterrupt, and what was started ends by itself: every resource is destroyed, no thread is left."""
    engines: list[Any] = []
    real = Engine.__init__

    def init(engine: Any, *args: Any) -> None:
        real(engine, *args)
        engine._begun = Struck()
        engines.append(engine)

    monkeypatch.setattr(Engine, "__init__", init)
    resources = ScriptedResources()
    with pytest.raises(KeyboardInterrupt):
        TaskManager(
            Config(
                worker_count=2,
                resource_pool_size=1,
                name="never-began",
                on_create=resources.create,
                on_destroy=resources.destroy,
            )
        )
    assert engines[0].finished.wait(20)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("never-began-")])
    assert len(resources.destroyed) == len(resources.created)


@pytest.mark.parametrize("ended", [False, True], ids=["live parent", "ended parent"])
def test_ctrl_c_at_each_moment_of_hearing_of_the_parent(ended: bool) -> None:
    """At the last step, when the workers serve already: what was started ends by itself there, too."""
    engines: list[Any] = []
    census.listeners.append(engines.append)
    parent = Context().with_value("a", 1)
    if ended:
        parent.cancel()
    resources = ScriptedResources()
    config = Config(
        worker_count=1,
        max_worker_count=1,
        resource_pool_size=1,
        ctx=parent,
        on_create=resources.create,
        on_destroy=resources.destroy,
    )

    moments = 0
    steps = (Context.on_cancel, Context._watch, Context._line, Engine.start, Engine._parent_ended, Engine.close)
    try:
        for where, manager, error in each_moment(lambda: TaskManager(config), *steps):
            moments += 1
            if where is None:
                manager.stop()
            else:
                assert isinstance(error, KeyboardInterrupt)
            for engine in engines:
                # Struck before its thread is there, it has nothing that would have to end.
                assert engine.thread.ident is None or engine.finished.wait(20), where
            assert len(resources.destroyed) == len(resources.created), where
            engines.clear()
    finally:
        census.listeners.remove(engines.append)
    assert moments > 8
