"""The supervisor grows a pool whose workers are all blocked, and follows a resize."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from unit.control.rig import Rig, seat, start, tick, without_logs


def test_a_blocked_pool_grows_beyond_what_is_useful() -> None:
    """A deadlock is worse than a worker that does not raise the throughput: what was measured is forgotten."""
    rig = Rig(1, 8).serving()
    trials = rig.supervisor._scaler._trials
    trials._limit, trials._until = 1, 1e9
    rig.do(ev.AllBlocked(1))
    assert rig.view.target == 2
    rig.do(tick(queued=3, running=2), 0.1)
    assert rig.view.target == 5


def test_all_blocked_grows_by_one() -> None:
    """When all workers wait for other tasks, one more is started."""
    rig = Rig(2, 4).serving()
    why = "all 2 workers run tasks that wait for other tasks"
    said = act.Log("info", "scaling from %d to %d workers: %s", (2, 3, why))
    assert rig.do(ev.AllBlocked(2)) == [said, start(3)]


def test_all_blocked_is_out_of_date() -> None:
    """When more workers live than were blocked, or one already starts, nothing grows."""
    rig = Rig(2, 4).serving()
    assert rig.do(ev.AllBlocked(1)) == []
    rig.do(ev.AllBlocked(2))
    assert rig.do(ev.AllBlocked(2)) == []


def test_all_blocked_at_the_maximum() -> None:
    """At the maximum a blocked pool can't grow."""
    rig = Rig(2, 2).serving()
    assert rig.do(ev.AllBlocked(2)) == []


def test_resize_up() -> None:
    """A larger base starts the missing workers at once."""
    rig = Rig(1, 2).serving()
    why = "resized to 3 base workers and at most 6"
    said = act.Log("info", "scaling from %d to %d workers: %s", (1, 3, why))
    assert rig.do(ev.Resized(3, 6)) == [said, start(2), start(3)]
    assert (rig.view.base, rig.view.most) == (3, 6)


def test_resize_down() -> None:
    """A smaller maximum retires the surplus; a smaller base alone leaves it to scaling."""
    rig = Rig(4, 8).serving()
    assert rig.do(ev.Resized(2, 8)) == []
    assert without_logs(rig.do(ev.Resized(1, 3))) == [act.Retire(1)]
    assert rig.view.target == 3


@pytest.mark.parametrize(("base", "actions"), [(1, [act.Retire(3)]), (6, [start(5), start(6)])])
def test_resize_without_scaling(base: int, actions: list[Any]) -> None:
    """Without scaling, the pool has exactly its base workers after a resize."""
    rig = Rig(4, 8, scales=False).serving()
    assert without_logs(rig.do(ev.Resized(base, 8))) == actions


def test_resize_before_the_start() -> None:
    """A resize that comes before the start decides how many workers start."""
    rig = Rig(1, 2)
    assert rig.do(ev.Resized(3, 3)) == []
    assert rig.do(ev.Started()) == [start(1), start(2), start(3)]


def test_resize_to_the_same() -> None:
    """A resize that changes nothing does nothing."""
    assert Rig(2, 4).serving().do(ev.Resized(2, 4)) == []


def test_whether_it_may_grow() -> None:
    """It may grow up to the limit, and not beyond; without scaling, up to the base."""
    assert Rig(2, 4).serving().view.may_grow
    assert not Rig(2, 2).serving().view.may_grow
    assert not Rig(2, 4, scales=False).serving().view.may_grow


def test_workers_that_have_to_retire_keep_their_place() -> None:
    """A worker that has to retire, and cannot, leaves no room for another one; once it has retired there is room."""
    rig = Rig(4, 4).serving()
    rig.do(ev.Resized(2, 2))
    assert (rig.view.retiring, rig.view.may_grow) == (2, False)
    rig.do(ev.Resized(2, 4))
    assert (rig.view.retiring, rig.view.may_grow) == (2, False)
    rig.do(ev.WorkerRetiring(seat(1)))
    assert (rig.view.retiring, rig.view.may_grow) == (1, True)


def test_a_stop_that_gave_up_does_not_grow() -> None:
    """While a stop drains, a pool whose creations have failed several times in a row may not grow any more; a pool that
    is killed may not either."""
    rig = Rig(1, 2, creation_backoff=0.01).serving()
    rig.do(ev.AllBlocked(1))
    rig.fail(seat(2))
    for _ in range(4):
        started = without_logs(rig.wake())[0]
        assert isinstance(started, act.StartWorker)
        assert rig.view.may_grow is False  # the one that starts is the last one
        rig.fail(started.seat)
        assert rig.view.may_grow
    rig.do(ev.StopRequested("enough"))
    assert not rig.view.may_grow
    rig.do(ev.KillRequested("enough"))
    assert not rig.view.may_grow
