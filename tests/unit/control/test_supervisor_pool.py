"""The supervisor refills the pool of run_task: one at a time, behind the breaker of all creations."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.creation import BreakerState
from unit.control.rig import Rig, levels, seat, start, tick, without_logs


def test_refill() -> None:
    """A resource that is lost from the pool is made again, and then all is quiet."""
    rig = Rig().serving()
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(ev.PoolRefilled()) == []
    assert rig.supervisor.wakeup(rig.now) is None


def test_one_at_a_time() -> None:
    """Several lost resources are made again one after the other."""
    rig = Rig().serving()
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]
    assert rig.do(ev.PoolResourceLost()) == []
    assert rig.do(ev.PoolResourceLost()) == []
    assert rig.do(ev.PoolRefilled()) == [act.RefillPool()]
    assert rig.do(ev.PoolRefilled()) == [act.RefillPool()]
    assert rig.do(ev.PoolRefilled()) == []


def test_backoff() -> None:
    """A refill that fails is logged and tried again after a growing delay."""
    rig = Rig().serving()
    rig.do(ev.PoolResourceLost())
    for number in range(4):
        actions = rig.do(ev.PoolRefillFailed("no route"))
        assert (levels(actions), without_logs(actions)) == (["warning"], [])
        before = rig.now
        assert rig.do(ev.Wakeup()) == []
        assert rig.wake() == [act.RefillPool()]
        full = 0.1 * 2**number
        assert 0.0 <= rig.now - before <= full + 1e-9
    assert without_logs(rig.do(ev.PoolRefilled())) == []


def test_success_resets_the_backoff() -> None:
    """After a success the next lost resource is made at once."""
    rig = Rig().serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    rig.wake()
    rig.do(ev.PoolRefilled())
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]


def test_one_breaker_for_all() -> None:
    """One function makes the resources of workers and of the pool, so while it fails, one of them is tried at a time,
    workers first, and a success lets all be made."""
    rig = Rig(2, 2).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == []
    assert without_logs(rig.do(ev.WorkerDied(seat(2), "boom"))) == []
    assert rig.wake() == [start(1, 3)]
    assert rig.do(ev.Wakeup(), 60.0) == []
    assert without_logs(rig.ready(seat(1, 3))) == [start(2, 4), act.RefillPool()]


def test_a_refill_is_a_probe() -> None:
    """The pool's resource is the probe if no worker is missing; one that goes missing meanwhile waits for it."""
    rig = Rig(1, 1).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert rig.wake() == [act.RefillPool()]
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"), 60.0)) == []
    assert rig.supervisor.wakeup(rig.now) is None
    assert without_logs(rig.do(ev.PoolRefilled())) == [start(1, 2)]


def test_callers_open_and_close_it() -> None:
    """What callers of run_task find out when they make a resource counts for all, and they probe where nothing else is
    missing."""
    rig = Rig(1, 1).serving()
    begun = rig.now
    actions = rig.do(ev.CallerCreation(begun, "no route"), 0.1)
    assert (levels(actions), without_logs(actions)) == (["warning"], [])
    assert (rig.view.breaker, rig.view.caller_creations) == (BreakerState.OPEN, 1)
    assert rig.view.callers_probe_at is not None and rig.view.next_creation is None
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == []
    assert rig.view.callers_probe_at is None, "the worker is the probe"
    assert rig.view.next_creation is not None
    assert without_logs(rig.do(ev.CallerCreation(begun, None))) == [start(1, 2)]
    assert (rig.view.breaker, rig.view.caller_creations) == (BreakerState.CLOSED, 2)


def test_draining_still_refills() -> None:
    """While tasks of run_task still run after a stop, the pool is kept full."""
    rig = Rig().serving()
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]


def test_not_after_the_drain() -> None:
    """Once all tasks have ended, or after a kill, nothing is refilled."""
    rig = Rig().serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    rig.do(ev.KillRequested("bye", deadline=100.0))
    assert rig.do(ev.Wakeup(), 50.0) == []
    assert rig.do(ev.PoolResourceLost()) == []


def test_beside_scaling() -> None:
    """Starting workers and refilling the pool go together."""
    rig = Rig(1, 2).serving()
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]
    assert without_logs(rig.do(tick(queued=5), 1.0)) == [start(2)]
