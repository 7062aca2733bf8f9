"""The queue between a manager and a subscriber: bounded, and it never waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from tasker.control import notices as say
from tasker.core.feed import Feed, FeedHolder, check_subscription, forbid_iteration, require_callback
from tasker.core.listener import WaitedFeed


class Rig:
    """A feed, and how often its subscriber was woken."""

    def __init__(self, most: int = 3, kinds: Any = say.ManagerEvent) -> None:
        self.wakes = 0
        self.feed = Feed(most, kinds, self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def taken(self) -> list[float]:
        """The moments of what waits."""
        found = []
        while (event := self.feed.take()) is not None:
            found.append(event.at)
        return found


def test_events_come_out_as_they_went_in() -> None:
    """A subscriber that waits is woken once, by the first of several."""
    rig = Rig()
    assert rig.feed.take() is None
    for at in (1.0, 2.0, 3.0):
        rig.feed.put(say.Paused(at))
    assert rig.wakes == 1
    assert rig.taken() == [1.0, 2.0, 3.0]
    rig.feed.put(say.Paused(4.0))
    assert rig.wakes == 2
    assert rig.taken() == [4.0]
    assert rig.feed.dropped == 0


def test_a_slow_subscriber_loses_the_oldest_events() -> None:
    """They are counted, and the end always comes through."""
    rig = Rig(most=2)
    for at in (1.0, 2.0, 3.0, 4.0):
        rig.feed.put(say.Paused(at))
    assert (rig.feed.dropped, rig.feed.over) == (2, False)
    rig.feed.put(say.StopEnded(5.0, False))
    assert (rig.feed.dropped, rig.feed.over) == (3, True)
    rig.feed.put(say.Paused(6.0))
    assert rig.taken() == [4.0, 5.0]


def test_only_the_kinds_that_are_wanted() -> None:
    """A class, with its subclasses, or several; and the end in any case."""
    lost = say.WorkerCrashed(1.0, "w", 1, 1, "signal 9")
    for kinds, wanted in ((say.WorkerEvent, [1.0, 9.0]), ((say.Paused, say.Scaled), [2.0, 9.0])):
        rig = Rig(kinds=kinds)
        rig.feed.put(lost)
        rig.feed.put(say.Paused(2.0))
        rig.feed.put(say.Resumed(3.0))
        rig.feed.put(say.StopEnded(9.0, True))
        assert rig.taken() == wanted


def test_closing() -> None:
    """What waits is dropped, the subscriber is woken, nothing comes any more; the holder shows all that."""
    rig = Rig()
    holder = FeedHolder()
    holder._feed = rig.feed
    rig.feed.put(say.Paused(1.0))
    with holder as entered:
        assert entered is holder
        assert not holder.closed
    assert holder.closed
    wakes = rig.wakes
    rig.feed.put(say.Paused(2.0))
    assert rig.taken() == []
    assert (rig.wakes, holder.dropped) == (wakes, 0)
    holder.close()


@pytest.mark.parametrize(
    ("callback", "kinds", "most", "error"),
    [
        ("print", say.ManagerEvent, 1, TypeError),
        (None, "all", 1, TypeError),
        (None, int, 1, TypeError),
        (None, (say.Paused, ValueError), 1, TypeError),
        (None, say.ManagerEvent, 1.5, TypeError),
        (None, say.ManagerEvent, True, TypeError),
        (None, say.ManagerEvent, 0, ValueError),
    ],
)
def test_wrong_arguments(callback: Any, kinds: Any, most: Any, error: type[Exception]) -> None:
    """Each names what is wrong."""
    with pytest.raises(error, match=r"^(callback|kinds|most) must be .* got "):
        check_subscription(callback, kinds, most)


def test_right_arguments() -> None:
    """With and without a callback."""
    check_subscription(None, say.ManagerEvent, 1)
    check_subscription(print, (say.Paused, say.Scaled), 1000)
    forbid_iteration(None)
    require_callback(print)
    with pytest.raises(RuntimeError, match="can't be iterated over"):
        forbid_iteration(print)
    with pytest.raises(RuntimeError, match="iterate over it"):
        require_callback(None)


class _Interrupted(deque[Any]):
    """Calls ``strike`` at the beginning or at the end of one of its methods, as another thread or a finalizer may."""

    strike: Callable[[], object]
    where: str

    def __len__(self) -> int:
        length = super().__len__()
        if self.where == "after len":
            self.strike()
        return length

    def append(self, event: Any) -> None:
        if self.where == "before append":
            self.strike()
        super().append(event)
        if self.where == "after append":
            self.strike()


@pytest.mark.parametrize("where", ["after len", "before append", "after append"])
@pytest.mark.parametrize("most", [1, 3])
def test_closing_in_the_middle_of_a_put(where: str, most: int) -> None:
    """It stays closed, whatever was about to come in is dropped, and what puts it notices nothing."""
    rig = Rig(most)
    rig.feed.put(say.Paused(1.0))
    rig.feed._waiting_events = events = _Interrupted(rig.feed._waiting_events)
    events.where, events.strike = where, rig.feed.close
    rig.feed.put(say.Paused(2.0))
    assert rig.feed.over
    assert rig.wakes > 1  # the subscriber looks, and finds the end
    events.where = "nowhere"
    assert rig.taken() == []


def test_closing_while_the_subscriber_takes_the_next_event() -> None:
    """It finds nothing."""
    rig = Rig()
    rig.feed.put(say.Paused(1.0))
    rig.feed._waiting_events = events = _Interrupted(rig.feed._waiting_events)
    events.where, events.strike = "after len", rig.feed.close
    rig.feed.take()
    rig.feed.close()
    assert rig.feed.take() is None


class LateEnd(WaitedFeed):
    """The manager ends just after its subscriber has found nothing."""

    def take(self) -> say.ManagerEvent | None:
        event = super().take()
        if event is None and not self.over:
            self.put(say.StopEnded(1.0, False))
        return event


def test_the_end_comes_just_after_a_look() -> None:
    """The subscriber looks again, and gets the last event; only then is it over."""
    feed = LateEnd(3, say.ManagerEvent)
    assert type(feed.next()) is say.StopEnded
    assert feed.next() is None
