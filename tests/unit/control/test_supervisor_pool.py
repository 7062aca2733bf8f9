"""The supervisor refills the pool of run_task: one at a time, with its own backoff."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
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
        assert full / 2 - 1e-9 <= rig.now - before <= full + 1e-9
    assert rig.do(ev.PoolRefilled()) == []


def test_success_resets_the_backoff() -> None:
    """After a success the next lost resource is made at once."""
    rig = Rig().serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    rig.wake()
    rig.do(ev.PoolRefilled())
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]


def test_apart_from_workers() -> None:
    """Failures of the pool do not slow down workers, nor those of workers the pool."""
    rig = Rig(1, 1).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == [start(1, 2)]
    rig.fail(seat(1, 2))
    rig.do(ev.PoolRefilled(), 0.01)
    assert rig.do(ev.PoolResourceLost()) == [act.RefillPool()]


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
    """Starting workers and refilling the pool go together, workers first."""
    rig = Rig(1, 2).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert without_logs(rig.do(tick(queued=5), 1.0)) == [start(2), act.RefillPool()]
