"""Workers whose on_create or on_destroy takes too long: given up, replaced up to a bound, and not waited for."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import Phase
from tasker.control.overdue import OPTIONS, Overdue
from tasker.control.workers import WorkerState

from .rig import Rig, levels, seat, start, tick, without_logs

CREATE = "on_create has not returned within create_timeout=5.0 seconds"
DESTROY = "on_destroy has not returned within destroy_timeout=3.0 seconds"


def rig(worker_count: int = 1, most: int = 1, stuck: int = 1, **plan: object) -> Rig:
    """A pool with both limits."""
    limits = {"create_timeout": 5.0, "destroy_timeout": 3.0, "max_stuck_workers": stuck}
    return Rig(worker_count, most, scales=False, creation_backoff=0.1, **limits, **plan)


def logged(actions: list[act.Action]) -> str:
    """What was logged, in one line."""
    return "; ".join(action.message % action.args for action in actions if isinstance(action, act.Log))


def test_without_limits_nothing_is_due() -> None:
    """No limit, no moment."""
    overdue = Overdue(dict.fromkeys(OPTIONS))
    for callback in OPTIONS:
        overdue.begin(callback, seat(1), 0.0)
    assert overdue.moment is None
    assert overdue.take(1e9) == []


def test_a_creation_is_given_up_once() -> None:
    """At its limit the worker is stuck, which counts as a failed creation; another one starts after the delay of that."""
    pool = rig()
    assert pool.do(ev.Started()) == [start(1)]
    assert pool.supervisor.wakeup(0.0) == 5.0
    assert pool.do(ev.Wakeup(), 4.9) == []
    actions = pool.wake()
    assert without_logs(actions) == [act.GiveUp(seat(1), CREATE)]
    assert levels(actions) == ["error"]
    assert "another one may take its place (1 are stuck, of which 1 may be replaced)" in logged(actions)
    assert (pool.view.stuck, pool.view.starting, pool.view.failing_creations) == (1, 0, 1)
    assert pool.view.creation_error == CREATE
    assert pool.wake() == [start(2)]
    assert pool.ready(seat(2))[0] == act.Log("info", "resources can be made again, after %s", ("1 failure",))
    assert pool.supervisor.wakeup(pool.now) is None


def test_what_comes_late_changes_nothing() -> None:
    """A stuck worker that has its resource after all destroys it, without a word about creations; one that fails is no
    second failure."""
    for last in (ev.WorkerEnded(seat(1)), ev.CreationFailed(seat(1), "late"), ev.WorkerDied(seat(1), "gone")):
        pool = rig()
        pool.do(ev.Started())
        pool.wake()
        if isinstance(last, ev.WorkerEnded):
            assert pool.do(ev.WorkerDropped(seat(1))) == []
            assert pool.supervisor.table.states == {seat(1): WorkerState.STUCK}
        assert without_logs(pool.do(last)) == []
        assert pool.view.failing_creations == 1
        assert pool.view.stuck == 0


def test_a_resource_in_the_last_moment() -> None:
    """A worker that had its resource when it was given up serves; what is too many by then retires."""
    pool = rig()
    pool.do(ev.Started())
    pool.wake()
    pool.wake()
    pool.ready(seat(2))
    assert without_logs(pool.ready(seat(1))) == [act.Retire(1)]
    assert (pool.view.ready, pool.view.stuck) == (2, 0)
    assert pool.supervisor._scaler.clock.seconds(pool.now) == 0.0, "only of the one that was in time"


def test_a_destruction_is_given_up() -> None:
    """Its seat is replaced at the limit, though it still has its resource."""
    pool = rig().serving()
    assert without_logs(pool.unhealthy(seat(1))) == [act.Requeue("t")]
    assert pool.supervisor.wakeup(0.0) == 3.0
    actions = pool.wake()
    assert without_logs(actions) == [act.GiveUp(seat(1), None), start(2)]
    assert DESTROY in logged(actions)
    assert pool.view.failing_creations == 0
    pool.ready(seat(2))
    assert pool.ended(seat(1)) == []
    assert pool.view.stuck == 0


def test_who_ends_in_time_is_not_given_up() -> None:
    """Nothing is due once the worker is gone, however it ended."""
    for last in (ev.WorkerEnded(seat(1)), ev.WorkerDied(seat(1), "gone")):
        pool = rig().serving()
        pool.unhealthy(seat(1))
        pool.do(last)
        pool.ready(seat(1, 2))
        assert pool.supervisor.wakeup(pool.now) is None


def test_one_more_than_may_be_replaced_counts() -> None:
    """Beyond max_stuck_workers a stuck worker is one of max_worker_count until its callback returns."""
    pool = rig(stuck=1).serving()
    pool.unhealthy(seat(1))
    assert start(2) in pool.wake()
    pool.ready(seat(2))
    pool.unhealthy(seat(2))
    actions = pool.wake()
    assert without_logs(actions) == [act.GiveUp(seat(2), None)]
    assert "no other one takes its place (2 are stuck, of which 1 may be replaced)" in logged(actions)
    assert pool.view.may_grow, "once one of them returns"
    assert pool.ended(seat(1)) == [start(1, 3)]


def test_a_creation_just_before_the_end_of_a_stop() -> None:
    """A stop that has nothing left to run waits for no stuck worker: it leaves it behind at once."""
    pool = rig(worker_count=2, most=2)
    pool.do(ev.Started())
    pool.ready(seat(1))
    pool.wake()
    pool.do(ev.StopRequested("stop"))
    assert act.Retire(1) in pool.do(ev.Drained())
    pool.do(ev.WorkerRetiring(seat(1)))
    assert pool.view.phase is Phase.CLOSING
    assert pool.ended(seat(1)) == [act.Abandon((seat(2),)), act.Retire(1), act.Finish()]
    assert pool.view.abandoned == 1
    assert pool.view.phase is Phase.STOPPED


def test_a_stop_in_which_a_worker_becomes_stuck() -> None:
    """The last one that ends does not return: the stop ends when its time is over."""
    pool = rig().serving()
    pool.do(ev.StopRequested("stop"))
    pool.do(ev.Drained())
    pool.do(ev.WorkerRetiring(seat(1)))
    assert without_logs(pool.wake()) == [
        act.GiveUp(seat(1), None),
        act.Abandon((seat(1),)),
        act.Retire(1),
        act.Finish(),
    ]


def test_a_stop_waits_for_the_pool_of_run_task() -> None:
    """Stuck workers are left behind once that is closed."""
    pool = rig(has_pool=True)
    pool.do(ev.Started())
    pool.wake()
    pool.do(ev.StopRequested("stop"))
    assert pool.do(ev.Drained()) == [act.ClosePool()]
    assert pool.do(ev.PoolClosed()) == [act.Abandon((seat(1),)), act.Retire(1), act.Finish()]


def test_a_kill_gives_them_its_time() -> None:
    """A kill waits for stuck workers until its deadline."""
    pool = rig()
    pool.do(ev.Started())
    pool.wake()
    pool.do(ev.KillRequested("kill", pool.now + 2.0))
    assert pool.do(ev.Drained()) == []
    assert without_logs(pool.wake()) == [act.Abandon((seat(1),)), act.Retire(1), act.Finish()]


def test_a_stop_gives_up_what_is_queued() -> None:
    """Where every worker is stuck, no queued task will be run, whatever they are stuck in."""
    pool = rig(stuck=0)
    pool.do(ev.Started())
    pool.do(ev.StopRequested("stop"))
    assert without_logs(pool.wake()) == [act.GiveUp(seat(1), CREATE), act.FailQueued(CREATE)]
    pool = rig(stuck=0).serving()
    pool.unhealthy(seat(1))
    pool.do(ev.StopRequested("stop"))
    assert without_logs(pool.wake()) == [act.GiveUp(seat(1), None), act.FailQueued("every worker is stuck")]
    assert without_logs(pool.ended(seat(1))) == [start(1, 2)], "it is not the end"


def test_a_stop_after_every_worker_is_stuck() -> None:
    """The queued tasks are given up at once, and again whenever something was queued meanwhile."""
    pool = rig(stuck=0)
    pool.do(ev.Started())
    pool.wake()
    assert without_logs(pool.do(ev.StopRequested("stop"))) == [act.RefuseTasks("stop"), act.FailQueued(CREATE)]
    assert without_logs(pool.do(tick())) == [act.FailQueued(CREATE)]
    assert pool.do(ev.Drained())[-1] == act.Finish()


def test_slots_bound_how_many_there_are() -> None:
    """Each worker has a slot of its own, a stuck one too: no further one starts without one."""
    pool = rig(worker_count=1, most=1, stuck=5, slots=2).serving()
    pool.unhealthy(seat(1))
    assert start(2) in pool.wake()
    pool.ready(seat(2))
    pool.unhealthy(seat(2))
    assert without_logs(pool.wake()) == [act.GiveUp(seat(2), None)]
    assert pool.ended(seat(1)) == [start(1, 3)]


def test_no_failure_is_announced_in_a_kill() -> None:
    """A creation that is overdue then is not one to be repeated."""
    pool = rig()
    pool.do(ev.Started())
    pool.do(ev.KillRequested("kill", 100.0))
    actions = pool.do(ev.Wakeup(), 6.0)
    assert without_logs(actions) == [act.GiveUp(seat(1), CREATE)]
