"""What one worker notes of the tasks that it has sent."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import Call
from tasker import Context, ProcessBackend
from tasker.process.parent.session import ProcessSession
from tasker.remote.threads_window import ThreadsWindow

from . import work


class Engine:
    """As much of one as is asked for."""

    root = Context()
    killed = False
    door = 0


class Worker:
    """The same of a worker."""

    name = "alone"


class Future:
    """The same of a future."""

    label = "a task"

    def __init__(self, *args: Any) -> None:
        self._task = work.echo
        self._args = args
        self._variables = None


class Watched(ThreadsWindow):
    """Has another thread take everything back while it notes that the first task begins."""

    def __init__(self, session: ProcessSession) -> None:
        super().__init__(Worker(), Engine(), session, ProcessBackend())  # type: ignore[arg-type]
        self.noted: list[str] = []
        self.taking: Call | None = None

    def _count(self, future: Any) -> None:
        self.taking = Call(self._session.recall)
        self.noted.append("counted")

    def _give_context(self, future: Any, context: Any) -> bool:
        assert self._session.lock.locked()
        assert self._session.in_flight, "nothing takes back what is being noted"
        self.noted.append("has a context")
        return False


@pytest.fixture
def session() -> Any:
    """A session without a child."""
    session = ProcessSession("alone", 1.0, lambda future: future._args, lambda: None)
    yield session
    session.close()


def test_nothing_takes_back_what_is_being_noted(session: ProcessSession) -> None:
    """That a task has begun is noted as a whole before it can go back to the queue, where another may begin it."""
    assert session.send([(1, Future(), 1)]) == ([], 64)
    window = Watched(session)
    window._begin()
    assert window.noted == ["counted", "has a context"]
    assert window.taking is not None
    back, first = window.taking.outcome(10)
    assert [number for number, _, _ in back] == [1]
    assert first


def test_what_cannot_be_sent_is_refused(session: ProcessSession) -> None:
    """The others are sent, in order."""
    good, bad = Future(1), Future(n for n in ())
    refused, size = session.send([(1, good, 1), (2, bad, 1), (3, good, 2)])
    assert [task for task, _ in refused] == [(2, bad, 1)]
    assert "a task: the task or its arguments can't be pickled" in str(refused[0][1])
    assert size == 64
    assert list(session.in_flight) == [(1, good, 1), (3, good, 2)]
