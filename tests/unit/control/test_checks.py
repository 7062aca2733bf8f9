"""Checks of idle resources: what the supervisor makes of those that end, and of those that do not."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.disuse import Disuse
from unit.control.rig import Rig, levels, seat, start, without_logs

CHECK = "check_resource has not returned within check_timeout=5.0 seconds"


def rig(**plan: object) -> Rig:
    """One worker, which serves."""
    return Rig(1, 1, **{"check_timeout": 5.0, "max_stuck_workers": 1, **plan}).serving()


def test_disuse() -> None:
    """It is due once more than the limit has passed since the last use."""
    disuse = Disuse(2.0, 10.0)
    assert (disuse.due(12.0), disuse.due(12.1)) == (False, True)
    disuse.used = 12.0
    assert not disuse.due(13.0)
    assert not disuse.due(1e9, wanted=False)


def test_an_interval() -> None:
    """Without a task, it is due after the interval; a timer may be a little early."""
    disuse = Disuse(100.0, 0.0, 10.0)
    assert [disuse.due(moment, wanted=wanted) for moment in (8.0, 9.5) for wanted in (True, False)] == [False] * 2 + [
        True
    ] * 2


def test_a_fit_resource_serves_on() -> None:
    """Nothing follows of a check that ends in time."""
    pool = rig()
    assert pool.do(ev.WorkerChecking(seat(1))) == []
    assert pool.supervisor.wakeup(pool.now) == 5.0
    assert pool.do(ev.WorkerChecked(seat(1), fit=True), after=1.0) == []
    assert pool.supervisor.wakeup(pool.now) is None
    assert (pool.view.ready, pool.view.replaced) == (1, 0)


def test_one_that_is_not_fit_is_replaced() -> None:
    """Once it is destroyed, where the maximum leaves no room before."""
    pool = rig()
    pool.do(ev.WorkerChecking(seat(1)))
    assert pool.do(ev.WorkerChecked(seat(1), fit=False)) == []
    assert (pool.view.ending, pool.view.replaced) == (1, 1)
    assert pool.ended(seat(1)) == [start(1, 2)]


def test_a_check_that_hangs() -> None:
    """Its worker is stuck, and another one takes its place; when the check returns, the worker ends."""
    pool = rig()
    pool.do(ev.WorkerChecking(seat(1)))
    actions = pool.wake()
    assert without_logs(actions) == [act.GiveUp(seat(1), None, checks="check_resource"), start(2)]
    assert levels(actions) == ["error"]
    assert CHECK in str(actions[1])
    assert (pool.view.stuck, pool.view.ready) == (1, 0)
    pool.ready(seat(2))
    assert pool.ended(seat(1)) == []
    assert (pool.view.stuck, pool.view.ready) == (0, 1)


def test_an_on_return_that_hangs() -> None:
    """The same, within a limit of its own; what comes in time is forgotten."""
    pool = rig(return_timeout=2.0)
    pool.do(ev.WorkerChecking(seat(1), "on_return"))
    assert pool.supervisor.wakeup(pool.now) == pool.now + 2.0
    assert pool.do(ev.WorkerChecked(seat(1), fit=True)) == []
    assert pool.supervisor.wakeup(pool.now) is None
    pool.do(ev.WorkerChecking(seat(1), "on_return"))
    actions = pool.wake()
    assert without_logs(actions) == [act.GiveUp(seat(1), None, checks="on_return"), start(2)]
    assert "on_return has not returned within return_timeout=2.0 seconds" in str(actions[1])


def test_a_check_that_ends_in_the_moment_in_which_it_is_given_up() -> None:
    """The worker was faster, and serves; the one that was to replace it is one too many."""
    pool = rig()
    pool.do(ev.WorkerChecking(seat(1)))
    pool.wake()
    assert pool.do(ev.WorkerChecked(seat(1), fit=True)) == [act.MarkSurplus(seat(2), surplus=True)]
    assert (pool.view.stuck, pool.view.ready) == (0, 1)


def test_reports_of_a_worker_that_is_not_known() -> None:
    """They come late, and mean nothing."""
    pool = rig()
    assert pool.do(ev.WorkerChecking(seat(9))) == []
    assert pool.do(ev.WorkerChecked(seat(9), fit=False)) == []
    assert pool.supervisor.wakeup(pool.now) is None
    assert pool.view.replaced == 0


def test_a_worker_that_is_lost_in_a_check() -> None:
    """It is waited for no more."""
    pool = rig()
    pool.do(ev.WorkerChecking(seat(1)))
    assert without_logs(pool.do(ev.WorkerDied(seat(1), "boom"))) == [start(1, 2)]
    assert pool.supervisor.wakeup(pool.now) is None
