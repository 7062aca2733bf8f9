"""The supervisor ends: stop, kill, deadlines, abandoned workers, late reports."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import Phase
from unit.control.rig import Rig, drop, levels, seat, tick, without_logs

KILL = [act.CancelRunning(), act.DropQueued()]


def retire_all(rig: Rig) -> list[act.Action]:
    """All ready workers take their Retire and end; returns the last actions."""
    actions: list[act.Action] = []
    for one in list(rig.supervisor.table.states):
        assert rig.do(ev.WorkerRetiring(one)) == []
        actions = rig.ended(one)
    return actions


def test_stop() -> None:
    """Stop refuses tasks; once drained the workers retire; with the last one it is finished."""
    rig = Rig(2, 4).serving()
    said = act.Log("info", "stopping: %s", ("bye",))
    assert rig.do(ev.StopRequested("bye")) == [act.RefuseTasks("bye"), said]
    assert rig.view.phase is Phase.DRAINING
    assert rig.do(ev.Drained()) == [act.Retire(2)]
    assert rig.view.phase is Phase.CLOSING
    assert retire_all(rig) == [act.Finish()]
    assert rig.view.phase is Phase.STOPPED
    assert rig.supervisor.wakeup(rig.now) is None


def test_stop_twice() -> None:
    """A second stop, and a second report of the drain, change nothing."""
    rig = Rig(2, 4).serving()
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.StopRequested("again")) == []
    rig.do(ev.Drained())
    assert rig.do(ev.Drained()) == []
    assert rig.do(ev.StopRequested("again")) == []


def test_drained_while_running() -> None:
    """An empty pool that was not stopped is not drained."""
    rig = Rig(2, 4).serving()
    assert rig.do(ev.Drained()) == []
    assert rig.view.phase is Phase.RUNNING


def test_stop_runs_retries() -> None:
    """While draining, an unhealthy failure is retried and the worker replaced."""
    rig = Rig(1, 2).serving()
    rig.do(ev.StopRequested("bye"))
    assert rig.unhealthy(seat(1)) == [act.Requeue("t"), act.StartWorker(seat(2))]


def test_stop_while_workers_start() -> None:
    """Workers that still start end as soon as they are ready."""
    rig = Rig(2, 4)
    rig.do(ev.Started())
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.Drained()) == [drop(2), drop(1)]
    rig.do(ev.WorkerDropped(seat(1)))
    assert rig.ready(seat(2)) == [act.Retire(1)], "it looked just before it was dropped"
    rig.do(ev.WorkerRetiring(seat(2)))
    assert rig.ended(seat(2)) == []
    assert rig.ended(seat(1)) == [act.Finish()]


def test_stop_while_creation_fails() -> None:
    """A drained pool without workers is finished at once, without regard to the backoff."""
    rig = Rig(1, 2)
    rig.do(ev.Started())
    rig.fail(seat(1))
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.Drained()) == [act.Finish()]


def test_creation_fails_while_closing() -> None:
    """A worker that fails to start after the drain is not tried again."""
    rig = Rig(2, 4)
    rig.do(ev.Started())
    rig.ready(seat(1))
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.Drained()) == [drop(2), act.Retire(1)]
    assert without_logs(rig.fail(seat(2))) == []
    rig.do(ev.WorkerRetiring(seat(1)), 60.0)
    assert rig.ended(seat(1)) == [act.Finish()]


def test_lost_while_closing() -> None:
    """A worker that is lost after the drain is not replaced."""
    rig = Rig(2, 4).serving()
    rig.do(ev.StopRequested("bye"))
    rig.do(ev.Drained())
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == []
    rig.do(ev.WorkerRetiring(seat(2)))
    assert rig.ended(seat(2)) == [act.Finish()]


def test_kill() -> None:
    """Kill refuses tasks, cancels what runs, drops the queue and retires all workers. The log comes after that: a slow
    handler must let no task start."""
    rig = Rig(2, 4).serving()
    assert rig.do(ev.KillRequested("bye", deadline=5.0)) == [
        act.RefuseTasks("bye"),
        *KILL,
        act.Log("info", "killing: %s", ("bye",)),
        act.Retire(2),
    ]
    assert rig.view.phase is Phase.KILLING
    assert rig.supervisor.wakeup(rig.now) == 5.0
    assert rig.do(ev.Drained()) == []
    assert retire_all(rig) == [act.Finish()]


def test_kill_waits_for_what_runs() -> None:
    """A kill is finished only when workers are gone and tasks of run_task have ended."""
    rig = Rig(1, 1).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    assert retire_all(rig) == []
    assert rig.do(ev.Drained()) == [act.Finish()]


def test_unhealthy_while_killing() -> None:
    """After a kill a task that fails unhealthily is dropped, and its worker not replaced."""
    rig = Rig(2, 4).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    assert rig.unhealthy(seat(1)) == [act.DropTask("t")]
    assert rig.ended(seat(1)) == []
    rig.do(ev.WorkerRetiring(seat(2)))
    assert rig.ended(seat(2)) == []
    assert rig.do(ev.Drained()) == [act.Finish()]


def test_lost_while_killing() -> None:
    """After a kill a worker that is lost is not replaced."""
    rig = Rig(2, 4).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    actions = rig.do(ev.WorkerDied(seat(1), "boom"))
    assert (levels(actions), without_logs(actions)) == (["error"], [])


def test_abandon() -> None:
    """At the deadline of a kill what is left is abandoned, and it is finished in the same step."""
    rig = Rig(2, 4).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    assert rig.do(ev.Wakeup(), 4.9) == []
    assert rig.do(ev.Wakeup(), 0.2) == [act.Abandon((seat(1), seat(2))), act.Finish()]
    assert (rig.view.phase, rig.view.abandoned) == (Phase.STOPPED, 2)


def test_abandon_workers_of_each_state() -> None:
    """Workers that start or end are abandoned as well as those that serve. One that was to be dropped, but has begun to
    serve, gets its Retire."""
    rig = Rig(3, 3)
    rig.do(ev.Started())
    rig.ready(seat(1))
    rig.ready(seat(2))
    rig.unhealthy(seat(2))
    rig.do(ev.KillRequested("bye", deadline=5.0))
    actions = rig.do(ev.Wakeup(), 5.0)
    assert actions == [act.Abandon((seat(1), seat(2), seat(3))), act.Retire(1), act.Finish()]


def test_abandon_no_worker() -> None:
    """A task of run_task that ignores its context does not hold a kill beyond its deadline."""
    rig = Rig(1, 1).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    retire_all(rig)
    assert rig.do(ev.Wakeup(), 5.0) == [act.Abandon(()), act.Finish()]


def test_kill_at_once() -> None:
    """A kill whose deadline has come already does everything in one step."""
    rig = Rig(1, 2).serving()
    assert without_logs(rig.do(ev.KillRequested("bye", deadline=0.0))) == [
        act.RefuseTasks("bye"),
        *KILL,
        act.Abandon((seat(1),)),
        act.Retire(1),
        act.Finish(),
    ]


def test_kill_without_deadline() -> None:
    """A kill without a deadline waits for its workers as long as it takes."""
    rig = Rig(1, 2).serving()
    rig.do(ev.KillRequested("bye"))
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(ev.Wakeup(), 1e6) == []


def test_second_kill_can_only_be_sooner() -> None:
    """A further kill drops nothing again; it can bring the deadline forward, not put it off."""
    rig = Rig(1, 2).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    assert rig.do(ev.KillRequested("later", deadline=9.0)) == []
    assert rig.supervisor.wakeup(rig.now) == 5.0
    assert rig.do(ev.KillRequested("none")) == []
    assert rig.supervisor.wakeup(rig.now) == 5.0
    assert rig.do(ev.KillRequested("sooner", deadline=2.0)) == []
    assert rig.do(ev.Wakeup(), 2.0) == [act.Abandon((seat(1),)), act.Finish()]


def test_stop_then_kill() -> None:
    """A kill during a stop escalates it, while draining and while closing."""
    for drained in (False, True):
        rig = Rig(1, 2).serving()
        rig.do(ev.StopRequested("bye"))
        if drained:
            rig.do(ev.Drained())
        actions = without_logs(rig.do(ev.KillRequested("now", deadline=1.0)))
        assert actions == [act.RefuseTasks("now"), *KILL] + [act.Retire(1)] * (not drained)
        assert rig.view.phase is Phase.KILLING


def test_stop_after_kill() -> None:
    """A stop during a kill changes nothing, its deadline included."""
    rig = Rig(1, 2).serving()
    rig.do(ev.KillRequested("now", deadline=5.0))
    assert rig.do(ev.StopRequested("bye", deadline=1.0)) == []
    assert rig.supervisor.wakeup(rig.now) == 5.0
    assert rig.view.phase is Phase.KILLING


def test_deadline_of_a_stop() -> None:
    """At its deadline a stop becomes a kill, which leaves behind what is left after the grace."""
    rig = Rig(1, 2).serving()
    rig.do(ev.StopRequested("bye", deadline=3.0, grace=0.5))
    assert rig.supervisor.wakeup(rig.now) == 3.0
    assert rig.do(ev.Wakeup(), 3.0) == [
        act.RefuseTasks("the timeout of stop has passed"),
        *KILL,
        act.Log("info", "killing: %s", ("the timeout of stop has passed",)),
        act.Retire(1),
    ]
    assert rig.supervisor.wakeup(rig.now) == 3.5
    assert rig.do(ev.Wakeup(), 0.5) == [act.Abandon((seat(1),)), act.Finish()]


def test_deadline_while_closing() -> None:
    """A resource that takes for ever to be destroyed does not hold a stop beyond its deadline."""
    rig = Rig(1, 2).serving()
    rig.do(ev.StopRequested("bye", deadline=3.0, grace=0.5))
    rig.do(ev.Drained())
    rig.do(ev.WorkerRetiring(seat(1)))
    rig.do(ev.Wakeup(), 3.0)
    assert rig.do(ev.Wakeup(), 0.5) == [act.Abandon((seat(1),)), act.Finish()]


def test_the_sooner_stop_counts() -> None:
    """Of several stops the earliest deadline counts."""
    rig = Rig(1, 2).serving()
    rig.do(ev.StopRequested("bye"))
    assert rig.supervisor.wakeup(rig.now) is None
    rig.do(ev.StopRequested("bye", deadline=9.0))
    rig.do(ev.StopRequested("bye", deadline=3.0))
    rig.do(ev.StopRequested("bye", deadline=6.0))
    rig.do(ev.StopRequested("bye"))
    assert rig.supervisor.wakeup(rig.now) == 3.0


def test_deadline_of_a_stop_while_no_worker_can_be_made() -> None:
    """The deadline of a stop holds also when ready_timeout has passed without a worker."""
    rig = Rig(1, 1, ready_timeout=10.0)
    rig.do(ev.Started())
    rig.do(ev.Wakeup(), 10.0)
    rig.do(ev.StopRequested("bye", deadline=11.0))
    rig.do(ev.Wakeup(), 1.0)
    assert rig.view.phase is Phase.KILLING
    moment = rig.supervisor.wakeup(rig.now)
    assert moment is None or moment > rig.now


def test_kill_in_the_middle_of_scaling_up() -> None:
    """A kill while burst workers start retires them too, and starts nothing."""
    rig = Rig(1, 3).serving()
    rig.do(tick(queued=9))
    actions = without_logs(rig.do(ev.KillRequested("bye", deadline=5.0)))
    assert actions == [act.RefuseTasks("bye"), *KILL, drop(3), drop(2), act.Retire(1)]
    assert rig.do(ev.WorkerDropped(seat(2))) == []
    assert without_logs(rig.fail(seat(3))) == []
    assert rig.do(ev.Wakeup(), 5.0) == [act.Abandon((seat(1), seat(2))), act.Finish()]


def test_kill_in_the_middle_of_scaling_down() -> None:
    """A kill while surplus workers retire retires the others only."""
    rig = Rig(1, 3).serving().grown(3)
    rig.do(tick(), 0.1)
    assert without_logs(rig.do(tick(), 1.0)) == [act.Retire(2)]
    actions = without_logs(rig.do(ev.KillRequested("bye", deadline=5.0)))
    assert actions == [act.RefuseTasks("bye"), *KILL, act.Retire(1)]


def test_nothing_scales_in_the_end() -> None:
    """After a kill neither a backlog nor blocked workers nor a resize start anything or say so."""
    rig = Rig(1, 3).serving()
    rig.do(ev.KillRequested("bye", deadline=50.0))
    assert rig.do(tick(queued=9)) == []
    assert rig.do(ev.AllBlocked(1)) == []
    assert rig.do(ev.Resized(3, 6)) == []


@pytest.mark.parametrize(
    "event",
    [
        ev.Started(),
        ev.WorkerReady(seat(1)),
        ev.CreationFailed(seat(1), "late"),
        ev.WorkerRetiring(seat(1)),
        ev.WorkerWorn(seat(1)),
        ev.WorkerUnhealthy(seat(1)),
        ev.WorkerEnded(seat(1)),
        ev.WorkerDied(seat(1), "late"),
        ev.AllBlocked(1),
        ev.PoolResourceLost(),
        ev.PoolRefilled(),
        ev.PoolRefillFailed("late"),
        tick(queued=9),
        ev.Wakeup(),
        ev.Resized(3, 6),
        ev.StopRequested("again", deadline=0.0),
        ev.KillRequested("again", deadline=0.0),
        ev.Drained(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_after_the_end(event: ev.Event) -> None:
    """After the end nothing that is reported does anything."""
    rig = Rig(1, 2).serving()
    rig.do(ev.KillRequested("bye", deadline=0.0))
    assert rig.view.phase is Phase.STOPPED
    assert rig.do(event) == []


def test_task_that_comes_back_after_the_end() -> None:
    """After the end a task that an abandoned worker gives back is dropped."""
    rig = Rig(1, 2).serving()
    rig.do(ev.KillRequested("bye", deadline=0.0))
    assert rig.unhealthy(seat(1)) == [act.DropTask("t")]


def test_a_stop_closes_the_pool() -> None:
    """The pool of run_task is closed once nothing runs that may use it, and the end waits for it."""
    rig = Rig(1, 1, has_pool=True).serving()
    assert act.ClosePool() not in rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.Drained()) == [act.ClosePool(), act.Retire(1)]
    assert retire_all(rig) == []
    assert rig.do(ev.PoolClosed()) == [act.Finish()]


def test_the_pool_is_closed_before_the_workers() -> None:
    """The end waits for both, in either order."""
    rig = Rig(1, 1, has_pool=True).serving()
    rig.do(ev.StopRequested("bye"))
    rig.do(ev.Drained())
    assert rig.do(ev.PoolClosed()) == []
    assert retire_all(rig) == [act.Finish()]


def test_a_kill_closes_the_pool_at_once() -> None:
    """It does not wait for what runs; and the pool is closed once only."""
    rig = Rig(1, 1, has_pool=True).serving()
    assert without_logs(rig.do(ev.KillRequested("bye", deadline=5.0))) == [
        act.RefuseTasks("bye"),
        *KILL,
        act.ClosePool(),
        act.Retire(1),
    ]
    assert rig.do(ev.Drained()) == []
    assert rig.do(ev.PoolClosed()) == []
    assert retire_all(rig) == [act.Finish()]


def test_a_kill_while_the_pool_is_being_closed() -> None:
    """A kill that takes over from a stop does not close it a second time."""
    rig = Rig(1, 1, has_pool=True).serving()
    rig.do(ev.StopRequested("bye"))
    rig.do(ev.Drained())
    assert act.ClosePool() not in rig.do(ev.KillRequested("now", deadline=5.0))


def test_a_pool_that_is_not_closed_by_the_deadline() -> None:
    """It is abandoned with the workers that are left; what comes from it later is dropped."""
    rig = Rig(1, 1, has_pool=True).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    rig.do(ev.Drained())
    assert retire_all(rig) == []
    assert rig.do(ev.Wakeup(), 5.0) == [act.Abandon((), pool=True), act.Finish()]
    assert rig.do(ev.PoolClosed()) == []


def test_the_end_waits_for_a_refill() -> None:
    """What is being made for the pool is destroyed, or given up, before the end."""
    for end in (ev.PoolRefilled(), ev.PoolRefillFailed("interrupted")):
        rig = Rig(1, 1, has_pool=True).serving()
        assert act.RefillPool() in rig.do(ev.PoolResourceLost())
        rig.do(ev.StopRequested("bye"))
        rig.do(ev.Drained())
        rig.do(ev.PoolClosed())
        assert retire_all(rig) == []
        assert without_logs(rig.do(end)) == [act.Finish()]


def test_a_refill_that_hangs() -> None:
    """It is abandoned at the deadline of a kill; what comes from it later is dropped."""
    rig = Rig(1, 1, has_pool=True).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.KillRequested("bye", deadline=5.0))
    rig.do(ev.PoolClosed())
    rig.do(ev.Drained())
    assert retire_all(rig) == []
    assert rig.do(ev.Wakeup(), 5.0) == [act.Abandon((), refill=True), act.Finish()]
    assert without_logs(rig.do(ev.PoolRefillFailed("interrupted"))) == []


def test_a_pool_that_is_closed_by_the_deadline() -> None:
    """Only the workers are abandoned."""
    rig = Rig(1, 1, has_pool=True).serving()
    rig.do(ev.KillRequested("bye", deadline=5.0))
    rig.do(ev.PoolClosed())
    assert rig.do(ev.Wakeup(), 5.0) == [act.Abandon((seat(1),)), act.Finish()]
