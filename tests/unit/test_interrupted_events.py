"""Tests Ctrl-C at each moment of a subscription with a callback: no thread of it outlives the manager."""

from __future__ import annotations

import threading

from tasker import Config, TaskManager
from unit.interrupts import each_moment

NAME = "struck-events"


def test_each_moment() -> None:
    """Whatever moment is struck, its thread ends, at the latest with the manager."""
    config = Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0, name=NAME)
    with TaskManager(config) as m:
        # As a call without interrupts would import it, which is not what is tested.
        m.events(lambda _: None).close()
        struck = [where for where, _, _ in each_moment(lambda: m.events(lambda _: None)) if where is not None]
    assert any(where.startswith("subscribe") for where in struck)
    # Those alone that run: Ctrl-C leaves one that ``threading`` has not started yet among those it lists.
    for thread in [t for t in threading.enumerate() if t.name == f"{NAME}-events" and t.ident is not None]:
        thread.join(5)
        assert not thread.is_alive()
