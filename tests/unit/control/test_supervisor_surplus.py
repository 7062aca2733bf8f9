"""Which workers go when there are too many: those that start before those that serve."""

from __future__ import annotations

from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.scaling import Decision, Snapshot
from unit.control.rig import Rig, drop, keep, seat, start, tick, without_logs


class Wanted:
    """A policy that wants a given number of workers."""

    def __init__(self, target: int) -> None:
        self.target = target

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """Return the number."""
        return Decision(self.target, "so")


def growing(base: int, target: int) -> tuple[Rig, Wanted]:
    """A pool whose base serves and whose other workers start."""
    policy = Wanted(target)
    rig = Rig(base, 8, policy=policy).serving()
    rig.do(tick(), 0.1)
    return rig, policy


def want(rig: Rig, policy: Wanted, target: int) -> list[act.Action]:
    """The actions at the tick at which the policy changes its mind."""
    policy.target = target
    return without_logs(rig.do(tick(), 0.1))


def test_starting_workers_go_first() -> None:
    """A pool that wants fewer workers while some start drops those, the youngest first, and retires no ready one."""
    rig, policy = growing(2, 5)
    assert want(rig, policy, 3) == [drop(5), drop(4)]
    assert (rig.view.ready, rig.view.starting, rig.view.ending) == (2, 1, 2)
    assert rig.do(ev.WorkerDropped(seat(5))) == []
    assert (rig.view.ready, rig.view.starting, rig.view.ending) == (2, 1, 2)
    assert rig.ended(seat(5)) == []
    assert rig.ready(seat(3)) == []
    assert rig.do(ev.WorkerDropped(seat(4))) == []
    assert rig.ended(seat(4)) == []
    assert (rig.view.ready, rig.view.ending) == (3, 0)


def test_ready_workers_go_for_the_rest() -> None:
    """What is left of a surplus falls to ready workers."""
    rig, policy = growing(2, 5)
    rig.ready(seat(3))
    rig.ready(seat(4))
    assert want(rig, policy, 2) == [drop(5), act.Retire(2)]


def test_dropped_workers_are_kept_before_others_start() -> None:
    """A pool that grows again keeps the dropped workers that still start, the oldest first, and starts only the rest."""
    rig, policy = growing(2, 5)
    assert want(rig, policy, 2) == [drop(5), drop(4), drop(3)]
    assert want(rig, policy, 4) == [keep(3), keep(4)]
    assert want(rig, policy, 6) == [keep(5), start(6)]
    assert rig.view.starting == 4


def test_a_worker_that_served_before_it_could_be_dropped() -> None:
    """A worker that became ready at the moment of its drop serves, so one ready worker retires in its place, once."""
    rig, policy = growing(2, 3)
    assert want(rig, policy, 2) == [drop(3)]
    assert rig.ready(seat(3)) == [act.Retire(1)]
    assert rig.do(ev.WorkerRetiring(seat(1))) == []
    assert rig.ended(seat(1)) == []
    assert rig.view.ready == 2


def test_a_dropped_worker_that_fails_or_dies_is_not_missed() -> None:
    """A dropped worker that gets no resource, or is lost, leaves nothing to retire and is not replaced."""
    rig, policy = growing(2, 4)
    assert want(rig, policy, 2) == [drop(4), drop(3)]
    assert without_logs(rig.fail(seat(4))) == []
    assert without_logs(rig.do(ev.WorkerDied(seat(3), "boom"))) == []
    assert rig.do(ev.Wakeup(), 60.0) == []
    assert want(rig, policy, 3) == [start(3, 5)]


def test_a_dropped_worker_proves_that_resources_can_be_made() -> None:
    """The resource of a dropped worker ends the backoff, and its creation is measured."""
    rig, policy = growing(2, 4)
    rig.fail(seat(4))
    assert want(rig, policy, 2) == [drop(3)]
    rig.now += 0.8
    rig.do(ev.WorkerDropped(seat(3)))
    assert rig.view.failing_creations == 0
    assert rig.supervisor._scaler.clock.seconds(rig.now) is not None


def test_a_late_report_of_a_dropped_worker() -> None:
    """A dropped worker that is not known any more changes nothing."""
    rig, _ = growing(2, 2)
    before = rig.view
    assert rig.do(ev.WorkerDropped(seat(7))) == []
    assert rig.view == before


def test_dropped_workers_hold_no_one_back() -> None:
    """A worker that will not serve is no reason to wait with another one for tasks that wait for each other."""
    rig, policy = growing(2, 3)
    want(rig, policy, 2)
    blocked: list[Any] = without_logs(rig.do(ev.AllBlocked(2)))
    assert blocked == [keep(3)]


def test_a_dropped_worker_is_one_more_that_may_serve() -> None:
    """At the maximum a worker that is to be dropped can still be kept: waits for a further worker are no deadlock."""
    policy = Wanted(2)
    rig = Rig(1, 2, policy=policy).serving()
    rig.do(tick(), 0.1)
    assert not rig.view.may_grow
    assert want(rig, policy, 1) == [drop(2)]
    assert (rig.view.starting, rig.view.may_grow) == (0, True)
    assert without_logs(rig.do(ev.AllBlocked(1))) == [keep(2)]
