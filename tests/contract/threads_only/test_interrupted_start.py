"""Ctrl-C while a manager starts."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.resources import ScriptedResources
from tasker import Config, TaskManager
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
                name="struck",
                on_create=resources.create,
                on_destroy=resources.destroy,
            )
        )
    assert engines[0].finished.wait(20)
    for thread in threading.enumerate():
        if thread.name.startswith("struck-"):
            thread.join(20)
    assert len(resources.destroyed) == len(resources.created)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("struck-")]
