"""Cancellations of tasks that have not begun, or have ended, in the process of the resource."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasker.errors import TaskCancelled
from tasker.process.child import cancellations
from tasker.process.child.cancellations import Cancellations

CAUSE = TaskCancelled("not wanted")


class Taken(dict[int, BaseException]):
    """In the moment in which the oldest entry is looked up, the thread of the resource takes it out."""

    def __iter__(self) -> Iterator[int]:
        keys = list(self.keys())
        del self[keys[0]]
        return iter(keys)


def test_too_many_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, and the latest are kept."""
    monkeypatch.setattr(cancellations, "_MOST_EARLY", 10)
    orders = Cancellations()
    for number in range(1, 101):
        orders._carry_out(number, CAUSE)
        assert len(orders.early) <= 10
    assert list(orders.early)[-5:] == [96, 97, 98, 99, 100]


def test_one_that_is_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be the one that is about to be forgotten: the thread of the cancellations goes on."""
    monkeypatch.setattr(cancellations, "_MOST_EARLY", 10)
    orders = Cancellations()
    orders.early = Taken(dict.fromkeys(range(1, 11), CAUSE))
    orders._carry_out(11, CAUSE)
    assert 11 in orders.early
