"""Sets that a thread looks through while workers change them: without the GIL, that raises unless a copy is looked through."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from typing import Any

from support.disturbed import Disturbed
from tasker.threads.cooling import CoolingWorkers
from tasker.threads.executor import ManagerExecutor
from tasker.threads.waits import GroupWait


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
