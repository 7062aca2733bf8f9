"""What one worker notes of the tasks that it has sent."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import Call
from tasker import Context, ProcessBackend
from tasker.process.parent.connection import Connection
from tasker.remote.threads_window import ThreadsWindow


class Engine:
    """As much of one as is asked for."""

    root = Context()
    killed = draining = False


class Worker:
    """The same of a worker."""

    engine = Engine()


class Watched(ThreadsWindow):
    """Has somebody take everything back while it notes that the first task begins."""

    def __init__(self, link: Connection) -> None:
        super().__init__(Worker(), link, ProcessBackend())  # type: ignore[arg-type]
        self.noted: list[str] = []
        self.taking: Call | None = None

    def _count(self, future: Any) -> None:
        self.taking = Call(self._link.take_back)
        self.noted.append("counted")

    def _begins(self, future: Any, context: Any) -> bool:
        assert self._link.lock.locked()
        assert self._link.in_flight, "nobody takes back what is being noted"
        self.noted.append("has a context")
        return False


@pytest.fixture
def link() -> Any:
    """A link without a child."""
    link = Connection("alone", 1.0)
    for end in link._connect():
        end.close()
    yield link
    link.close()


def test_nobody_takes_back_what_is_being_noted(link: Connection) -> None:
    """That a task has begun is noted as a whole before it can go back to the queue, where another may begin it."""
    link.order([(1, object(), 1)], [])
    traffic = Watched(link)
    traffic._begin()
    assert traffic.noted == ["counted", "has a context"]
    assert traffic.taking is not None
    back, first = traffic.taking.outcome(10)
    assert [number for number, _, _ in back] == [1]
    assert first
