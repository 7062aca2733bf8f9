"""Sets that a thread looks through while workers change them: without the GIL, that raises unless a copy is looked through."""

from __future__ import annotations

import asyncio
import queue
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from support.disturbed import Disturbed
from tasker.control.workers import WorkerState
from tasker.stats import ShutdownCounts
from tasker.threads import loop_waits
from tasker.threads.cooling import CoolingWorkers
from tasker.threads.executor import ManagerExecutor
from tasker.threads.loop_waits import LoopWait
from tasker.threads.this_thread import this_thread
from tasker.threads.waits import GroupWait, WaitRegistry


class Done:
    """A future with an outcome."""

    def done(self) -> bool:
        """Whether it has its outcome."""
        return True


def test_closing_while_a_worker_begins_to_cool_down() -> None:
    """Those that were there before are woken, and a stop goes on."""
    cooling = CoolingWorkers(queue.SimpleQueue(), ())
    alarms: list[queue.SimpleQueue[None]] = [queue.SimpleQueue(), queue.SimpleQueue()]
    cooling._alarms = Disturbed(alarms)
    cooling.wake()
    assert [alarm.qsize() for alarm in alarms] == [1, 1]


def test_judging_a_wait_for_tasks_that_end() -> None:
    """The search for deadlocks goes on."""
    wait = GroupWait(Disturbed([Done(), Done()]), lambda error: None, False)
    assert wait.need() is None


def test_shutdown_of_a_view_whose_tasks_end() -> None:
    """It looks whether they have, without the lock."""
    waits: Any = SimpleNamespace()
    view = ManagerExecutor(lambda *args: args, waits, {})  # type: ignore[arg-type, return-value]
    view._pending = Disturbed([Done(), Done()])
    assert view._done()


class Restless:
    """Waits beside a worker whose loop ends in the moment in which the waiting workers are counted."""

    def __init__(self, loops: dict[Any, Any]) -> None:
        self._loops = loops

    def __hash__(self) -> int:
        self._loops.clear()
        return 1


def test_a_wait_beside_a_loop_that_begins_or_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait is announced."""
    view = SimpleNamespace(ready=9, starting=0)
    engine: Any = SimpleNamespace(is_forked=False, view=view)
    registry = WaitRegistry(engine)
    restless = Restless({})
    registry._loops[restless], registry._loops["another"] = LoopWait(None, 0), LoopWait(None, 0)  # type: ignore[index]
    restless._loops = registry._loops
    worker: Any = SimpleNamespace(engine=engine, seat="this", overdue="", state=WorkerState.READY)
    monkeypatch.setattr(this_thread, "worker", worker)
    assert registry.enter(GroupWait({Done()}, lambda error: None, False)) == "this"


def test_a_loop_that_closes_while_it_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it does not wait."""
    loop = asyncio.new_event_loop()
    wait = LoopWait(loop, threading.get_ident())
    destination: Any = loop.create_future()
    destination.add_done_callback(lambda done: None)
    bridge: Any = SimpleNamespace(destination=destination, future=SimpleNamespace(done=lambda: False))
    wait._bridges = [bridge]
    asked: list[None] = []

    def sleeps(self: LoopWait) -> bool:
        asked.append(None)
        if len(asked) == 2:
            loop.close()
            return len(loop._selector.get_map()) == 1  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr(LoopWait, "_sleeps", sleeps)
    monkeypatch.setattr(loop_waits, "closed_over", lambda futures: {*futures})
    assert wait.need() is None
    assert len(asked) == 2
    loop.close()


def test_killed_tasks_that_several_threads_count() -> None:
    """Workers and the supervisor, at the same time: none is left out of the report."""
    counts, begin = ShutdownCounts(), threading.Barrier(4)

    def count() -> None:
        begin.wait(20)
        for _ in range(10_000):
            counts.add_killed()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.killed_tasks == 40_000
