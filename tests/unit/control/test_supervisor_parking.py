"""While it is tried whether fewer workers do as much, the others are parked: they keep their resources."""

from __future__ import annotations

from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev

from .rig import Rig, seat, tick, without_logs
from .test_supervisor_scaling import Extreme


def trying(fewer: int = 4, **plan: Any) -> tuple[Rig, Extreme]:
    """Eight ready workers of which all but `fewer` are parked, for a second."""
    policy = Extreme(8)
    rig = Rig(2, 8, policy=policy, **plan).serving().grown(8)
    scaler = rig.supervisor._scaler
    scaler._trials._limit, scaler._trials._probing, scaler._trials._until = fewer, True, rig.now + 1.0
    scaler._before = 8
    policy.target = fewer
    assert without_logs(rig.do(tick(running=fewer), 0.1)) == [act.Park(8 - fewer)]
    for slot in range(fewer + 1, 9):
        assert without_logs(rig.do(ev.WorkerParked(seat(slot)))) == []
    assert (rig.view.ready, rig.view.parked) == (fewer, 8 - fewer)
    return rig, policy


def unparked(rig: Rig, *slots: int) -> None:
    """These workers notice that they have to serve."""
    for slot in slots:
        assert without_logs(rig.do(ev.WorkerUnparked(seat(slot)))) == []


def test_what_was_found_useless_retires() -> None:
    """If fewer workers do as much, those that were parked end."""
    rig, _ = trying()
    rig.supervisor._scaler._trials._probing = False  # as after a verdict
    assert without_logs(rig.do(tick(running=4), 0.1)) == [act.Park(0), act.Retire(4)]
    unparked(rig, 5, 6, 7, 8)
    assert (rig.view.ready, rig.view.retiring) == (8, 4)


def test_even_fewer_are_needed() -> None:
    """A policy that wants even fewer meanwhile has more of them parked, and none retire before the verdict."""
    rig, policy = trying()
    policy.target = 3
    assert without_logs(rig.do(tick(running=3), 0.1)) == [act.Park(5)]


def test_one_that_is_lost_is_not_replaced() -> None:
    """A parked worker that dies leaves one less to be parked; one that serves has a parked one take its place."""
    rig, _ = trying()
    assert without_logs(rig.do(ev.WorkerDied(seat(8), "gone"))) == [act.Park(3)]
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "gone"))) == [act.Park(2)]
    assert rig.view.parked == 3, "until it notices"


def test_a_larger_base_is_there_at_once() -> None:
    """A base that grows meanwhile takes parked workers first, and then makes some."""
    rig, _ = trying()
    assert without_logs(rig.do(ev.Resized(6, 8))) == [act.Park(2)]
    assert without_logs(rig.do(ev.Resized(9, 9))) == [act.Park(0), act.StartWorker(ev.Seat(9, 9))]


def test_no_worker_is_made_beyond_the_maximum() -> None:
    """A parked worker counts against the maximum, because it has a resource."""
    rig, _ = trying()
    assert without_logs(rig.do(ev.AllBlocked(4))) == [act.Park(0), act.Retire(3)], (
        "one more serves, and the trial is over"
    )
    unparked(rig, 5, 6, 7, 8)
    assert (rig.view.ready, rig.view.starting) == (8, 0)


def test_blocked_workers_are_those_that_serve() -> None:
    """All workers but the parked ones run tasks that wait for others: a parked one serves, instead of a deadlock."""
    rig, _ = trying(fewer=2)
    assert rig.view.may_grow
    assert without_logs(rig.do(ev.AllBlocked(1))) == [], "another one serves"
    assert act.Park(0) in rig.do(ev.AllBlocked(2))


def test_a_stop_ends_the_trial() -> None:
    """A stop has all of them serve again: what is queued is to be done soon. No trial begins during a stop."""
    rig, policy = trying()
    actions = rig.do(ev.StopRequested("enough"))
    assert without_logs(actions) == [act.RefuseTasks("enough"), act.Park(0)]
    assert rig.view.decisions[-1].why == "no fewer workers are tried during a stop"
    unparked(rig, 5, 6, 7, 8)
    policy.target = 8
    ended = 0
    for _ in range(60):
        ended += 60
        assert act.Park(4) not in rig.do(tick(100_000, 8, 200_000, ended), 0.1)
    assert not rig.supervisor._scaler.tries_fewer


def test_a_kill_lets_all_of_them_end() -> None:
    """Parked workers retire as the others do."""
    rig, _ = trying()
    actions = without_logs(rig.do(ev.KillRequested("now", deadline=rig.now + 1.0)))
    assert actions[-2:] == [act.Park(0), act.Retire(8)]


def test_the_deadline_of_a_kill_lets_parked_ones_go() -> None:
    """A kill without time leaves them behind like the others, and each may still end by itself."""
    rig, _ = trying()
    actions = without_logs(rig.do(ev.KillRequested("now", deadline=rig.now)))
    assert act.Retire(8) in actions
    assert act.Park(0) in actions


def test_all_that_serve_are_lost() -> None:
    """If only parked workers are left, tasks wait for no longer than ``ready_timeout`` for one of them; as soon as one serves,
    they do not wait for a worker any more."""
    rig, _ = trying(ready_timeout=5.0)
    for slot in (1, 2, 3, 4):
        rig.do(ev.WorkerDied(seat(slot), "gone"))
    assert rig.supervisor._workforce.none_ready_since == rig.now
    unparked(rig, 5)
    assert rig.supervisor._workforce.none_ready_since is None


def test_a_late_report() -> None:
    """A report of a worker that is not known any more changes nothing."""
    rig, _ = trying()
    rig.do(ev.WorkerDied(seat(8), "gone"))
    assert without_logs(rig.do(ev.WorkerUnparked(seat(8)))) == []
    assert without_logs(rig.do(ev.WorkerParked(seat(8)))) == []
    assert rig.view.parked == 3
