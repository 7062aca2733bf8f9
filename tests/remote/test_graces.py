"""The grace of a cancelled task: what comes late for an earlier task of the session takes nothing from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.toy_session import ToyBackend, ToySession
from support.waiting import wait_until
from tasker import Config

NEVER = 1e5


class Recorded(ToySession):
    """A session that is not started, and records the tasks that it was to interrupt or was killed for."""

    def __init__(self) -> None:
        config = Config(on_create=object, worker_count=1, backend=ToyBackend())
        super().__init__("alone", config, False, lambda future: (), lambda: None)
        self.calls: list[tuple[str, int]] = []
        self.ends_by_itself = False

    def terminate(self, number: int = 0) -> None:
        """See `Session`."""
        self.calls.append(("terminate", number))
        if self.ends_by_itself:
            self.ends_by_itself = False
            self.goes_on()
            self.cut_off_after(0.01, self.in_flight[0][0], NEVER)

    def kill(self) -> None:
        """See `Session`."""
        self.calls.append(("kill", self.in_flight[0][0]))

    def goes_on(self) -> None:
        """The next task is the first in flight."""
        number, *_ = self.in_flight.popleft()
        self.in_flight.append((number + 1, None, 0))


@pytest.fixture
def session() -> Iterator[Recorded]:
    """One whose first task is in flight."""
    session = Recorded()
    session.in_flight.append((1, None, 0))
    yield session
    session.close()


def test_a_cancellation_that_comes_late_does_not_replace_a_grace(session: Recorded) -> None:
    """The first task is cancelled in one thread and ends; the second one's grace was set when that thread goes on."""
    session.goes_on()
    session.cut_off_after(0.01, 2, 0.01)
    session.cut_off_after(NEVER, 1, NEVER)
    wait_until(lambda: session.calls == [("terminate", 2), ("kill", 2)])


def test_nor_does_the_second_part_of_an_earlier_one(session: Recorded) -> None:
    """The first task ended by itself as it was to be interrupted, and the second was cancelled meanwhile."""
    session.ends_by_itself = True
    session.cut_off_after(0, 1, NEVER)
    wait_until(lambda: session.calls == [("terminate", 1), ("terminate", 2)])


def test_a_later_task_replaces_the_grace_of_an_earlier_one(session: Recorded) -> None:
    """A session has one grace at most."""
    session.cut_off_after(NEVER, 1, NEVER)
    session.goes_on()
    session.cut_off_after(0.01, 2, NEVER)
    wait_until(lambda: session.calls == [("terminate", 2)])
