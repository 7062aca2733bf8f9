"""Workers that are stuck in a task which has its outcome: replaced up to a bound, and taken back when they return."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import goes_back
from tasker.control.lifecycle import Phase
from tasker.control.workers import WorkerState

from .rig import Rig, drop, levels, seat, start, without_logs

ERROR = "task #7 has not ended within timeout=1.0 seconds"


def rig(worker_count: int = 1, most: int = 1, stuck: int = 1, **plan: object) -> Rig:
    """A pool whose workers are ready."""
    return Rig(worker_count, most, scales=False, max_stuck_workers=stuck, **plan).serving()


def overdue(pool: Rig, slot: int = 1, generation: int | None = None) -> list[act.Action]:
    """The task of that worker is overdue."""
    return pool.do(ev.TaskOverdue(seat(slot, generation), ERROR))


def returned(pool: Rig, slot: int = 1, generation: int | None = None) -> list[act.Action]:
    """It has returned."""
    return pool.do(ev.WorkerReturned(seat(slot, generation)))


def test_it_is_replaced() -> None:
    """It counts as stuck, which is logged, and another one starts although the maximum is one."""
    pool = rig()
    actions = overdue(pool)
    assert without_logs(actions) == [start(2)]
    assert levels(actions) == ["error"]
    assert isinstance(actions[0], act.Log)
    text = actions[0].message % actions[0].args
    assert text.startswith(f"worker 1 is stuck: {ERROR}; another one may take its place")
    assert (pool.view.stuck, pool.view.ready, pool.view.starting) == (1, 0, 1)


def test_only_so_many_are_replaced() -> None:
    """The second one counts against the maximum until it returns."""
    pool = rig()
    overdue(pool)
    pool.ready(seat(2))
    actions = overdue(pool, 2)
    assert without_logs(actions) == []
    assert pool.view.stuck == 2
    # And then it serves itself, so that no other one is missing.
    assert without_logs(returned(pool, 2)) == []
    assert (pool.view.stuck, pool.view.ready) == (1, 1)


def test_it_serves_again() -> None:
    """It returns while its replacement is being made: that one is not needed any more."""
    pool = rig()
    overdue(pool)
    actions = returned(pool)
    assert without_logs(actions) == [drop(2)]
    assert levels(actions) == ["info"]
    assert pool.view.ready == 1
    assert pool.supervisor.table.states[seat(1)] is WorkerState.READY


def test_it_is_one_too_many() -> None:
    """It returns when its replacement serves: one of the two retires."""
    pool = rig()
    overdue(pool)
    pool.ready(seat(2))
    assert without_logs(returned(pool)) == [act.Retire(1)]


def test_it_has_left_its_resource_unhealthy() -> None:
    """It ends, as after a cancelled attempt, and counts as replaced."""
    pool = rig(stuck=0)
    assert without_logs(overdue(pool)) == []
    assert without_logs(pool.do(ev.WorkerUnhealthy(seat(1)))) == []
    assert pool.supervisor.table.states[seat(1)] is WorkerState.ENDING
    assert without_logs(pool.ended(seat(1))) == [start(1, 2)]
    assert pool.view.replaced == 1


def test_reports_that_come_late() -> None:
    """Of a worker that is not known any more, or does not serve: nothing follows."""
    pool = rig()
    assert overdue(pool, 1, 9) == []
    assert returned(pool, 1, 9) == []
    pool.do(ev.WorkerUnhealthy(seat(1)))
    assert without_logs(overdue(pool)) == []
    assert pool.view.stuck == 0


def test_tasks_wait_for_ready_timeout_at_most() -> None:
    """While the only worker is stuck, none is ready; from its return on, one is."""
    pool = rig(stuck=0, ready_timeout=5.0)
    overdue(pool)
    assert pool.supervisor.wakeup(pool.now) is not None
    failed = pool.do(ev.Wakeup(), 5.0)
    assert any(isinstance(action, act.FailQueued) for action in failed)
    returned(pool)
    assert pool.supervisor.wakeup(pool.now) is None


def test_a_stop_does_not_wait_for_it() -> None:
    """Every task has its outcome: it is abandoned, and may retire when it returns."""
    pool = rig()
    overdue(pool)
    pool.ready(seat(2))
    pool.do(ev.StopRequested("stop"))
    assert without_logs(pool.do(ev.Drained())) == [act.Retire(1)]
    pool.do(ev.WorkerRetiring(seat(2)))
    assert pool.ended(seat(2)) == [act.Abandon((seat(1),)), act.Retire(1), act.Finish()]
    assert pool.supervisor.phase is Phase.STOPPED
    assert returned(pool) == []


def test_a_kill_waits_until_its_deadline() -> None:
    """It returns in time, retires and ends like any other."""
    pool = rig()
    overdue(pool)
    pool.ready(seat(2))
    pool.do(ev.KillRequested("kill", deadline=10.0))
    pool.do(ev.Drained())
    pool.do(ev.WorkerRetiring(seat(2)))
    pool.ended(seat(2))
    assert pool.supervisor.phase is Phase.KILLING
    assert act.Retire(1) in returned(pool)
    pool.do(ev.WorkerRetiring(seat(1)))
    assert pool.ended(seat(1)) == [act.Finish()]


def test_a_refresh_does_not_wait_for_it() -> None:
    """It is over without the stuck worker, whose old resource is replaced when it returns after all."""
    pool = rig()
    overdue(pool)
    pool.ready(seat(2))
    assert act.Renew(seat(2)) in pool.do(ev.RefreshRequested(1))
    pool.do(ev.PoolCurrent())
    pool.do(ev.WorkerWorn(seat(2)))
    assert {start(2, 3), act.Refreshed(1)} <= {*pool.ended(seat(2))}
    pool.ready(seat(2, 3))
    assert pool.view.outdated == 0
    returned(pool)
    assert pool.view.outdated == 1


def test_which_attempts_go_back() -> None:
    """A limit that has passed is the outcome unless the policy names it, whatever becomes of the resource."""
    for healthy in (True, False):
        assert goes_back(healthy=healthy, retryable=True, timed_out=True)
        assert not goes_back(healthy=healthy, retryable=False, timed_out=True)
    assert goes_back(healthy=True, retryable=True)
    assert not goes_back(healthy=True, retryable=False)
    assert goes_back(healthy=False, retryable=False)
    assert not goes_back(healthy=False, retryable=False, cancelled=True)
