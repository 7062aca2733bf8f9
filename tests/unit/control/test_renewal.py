"""A refresh replaces every worker and every resource of run_task, a few at a time, and never thins the pool out."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.creation import BreakerState
from unit.control.rig import Rig, seat, start, tick, without_logs
from unit.control.test_supervisor_parking import trying

CALM = {"scales": False}


def refresh(rig: Rig, number: int = 1) -> list[act.Action]:
    """The user asks for it, and nothing of run_task is in the way; returns what is done about workers."""
    actions = without_logs(rig.do(ev.RefreshRequested(number)))
    assert act.OutdatePool() in actions
    if rig.view.awaits_pool:
        actions += rig.do(ev.PoolCurrent())
    return [action for action in actions if action != act.OutdatePool()]


def renew(slot: int, generation: int | None = None) -> act.Renew:
    """The action that has the worker of that seat end."""
    return act.Renew(seat(slot, generation))


def leave(rig: Rig, slot: int, generation: int | None = None) -> list[act.Action]:
    """The worker obeys and is gone."""
    gone = seat(slot, generation)
    return without_logs(rig.do(ev.WorkerWorn(gone)) + rig.ended(gone))


def test_a_new_worker_comes_first_where_there_is_room() -> None:
    """An outdated one goes only when the new one is ready, and the next new one is begun meanwhile."""
    rig = Rig(2, 4, **CALM).serving()
    assert refresh(rig) == [start(3)]
    assert (rig.view.generation, rig.view.outdated, rig.view.target) == (1, 2, 2)
    assert rig.ready(seat(3)) == [renew(1), start(4)]
    assert (rig.view.ready, rig.view.retiring) == (3, 1)
    assert leave(rig, 1) == []
    assert rig.ready(seat(4)) == [renew(2)]
    assert leave(rig, 2) == [act.Refreshed(1)]
    assert (rig.view.ready, rig.view.renewed, rig.view.outdated) == (2, 2, 0)
    assert rig.do(ev.Wakeup()) == []


def test_a_quarter_at_a_time() -> None:
    """A large pool is renewed in several steps, each of several workers."""
    rig = Rig(8, 16, **CALM).serving()
    assert refresh(rig) == [start(9), start(10)]
    assert rig.ready(seat(9)) == [renew(1), start(11)]
    assert rig.ready(seat(10)) == [renew(2), start(12)]


def test_one_after_the_other_without_room() -> None:
    """Each of them goes when the replacement of the last one is ready: one is missing, never two."""
    rig = Rig(2, 2, **CALM).serving()
    assert refresh(rig) == [renew(1)]
    assert rig.do(ev.WorkerWorn(seat(1))) == []
    assert rig.ended(seat(1)) == [start(1, 3)]
    assert rig.ready(seat(1, 3)) == [renew(2)]
    assert leave(rig, 2) == [start(2, 4), act.Refreshed(1)]


def test_a_lone_worker_is_replaced() -> None:
    """With a maximum of one, it goes first."""
    rig = Rig(1, 1, **CALM).serving()
    assert refresh(rig) == [renew(1)]
    assert leave(rig, 1) == [start(1, 2), act.Refreshed(1)]


def test_a_creation_that_fails_keeps_the_outdated_ones() -> None:
    """They serve until their replacement is there, however long that takes."""
    rig = Rig(2, 4, **CALM).serving()
    refresh(rig)
    rig.fail(seat(3))
    assert without_logs(rig.wake()) == [start(3, 4)]
    rig.fail(seat(3, 4))
    assert (rig.view.ready, rig.view.retiring, rig.view.outdated) == (2, 0, 2)
    rig.wake()
    assert without_logs(rig.ready(seat(3, 5))) == [renew(1), start(4, 6)]


def test_no_further_one_goes_while_the_replacement_fails() -> None:
    """Without room, one is missing until it can be made again, and the others serve on."""
    rig = Rig(2, 2, **CALM).serving()
    refresh(rig)
    leave(rig, 1)
    rig.fail(seat(1, 3))
    assert (rig.view.ready, rig.view.retiring) == (1, 0)
    rig.wake()
    assert without_logs(rig.ready(seat(1, 4))) == [renew(2)]


def test_what_was_begun_before_is_outdated() -> None:
    """A worker that is making its resource has the old credentials: it serves, and is renewed in its turn."""
    rig = Rig(1, 2, **CALM)
    rig.do(ev.Started())
    assert refresh(rig) == []
    assert rig.view.outdated == 1
    assert rig.ready(seat(1)) == [start(2)]
    assert rig.ready(seat(2)) == [renew(1)]
    assert leave(rig, 1) == [act.Refreshed(1)]


def test_a_second_refresh_during_the_first() -> None:
    """What the first has made is outdated as well; each is over when nothing of before it is left."""
    rig = Rig(2, 4, **CALM).serving()
    refresh(rig)
    rig.ready(seat(3))
    assert refresh(rig, 2) == []
    assert rig.view.outdated == 4
    leave(rig, 1)
    assert rig.ready(seat(4)) == [renew(2), start(1, 5)]
    assert leave(rig, 2) == [act.Refreshed(1)]
    assert rig.ready(seat(1, 5)) == [renew(3), start(2, 6)]
    assert leave(rig, 3) == []
    assert rig.ready(seat(2, 6)) == [renew(4)]
    assert leave(rig, 4) == [act.Refreshed(2)]


def test_one_that_ends_for_another_reason() -> None:
    """A worker that is called and becomes unhealthy, retires or dies counts as gone."""
    rig = Rig(1, 2, **CALM).serving()
    refresh(rig)
    assert rig.ready(seat(2)) == [renew(1)]
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == [act.Refreshed(1)]
    assert rig.view.ready == 1


def test_fewer_are_wanted_meanwhile() -> None:
    """Outdated ones are the first to go when the pool shrinks."""
    rig = Rig(1, 3, **CALM).serving()
    rig.do(ev.Resized(3, 3))
    for slot in (2, 3):
        rig.ready(seat(slot))
    assert refresh(rig) == [renew(1)]
    assert without_logs(rig.do(ev.Resized(1, 3))) == [renew(2)]
    assert leave(rig, 1) + leave(rig, 2) == [start(1, 4)]
    assert rig.ready(seat(1, 4)) == [renew(3)]
    assert leave(rig, 3) == [act.Refreshed(1)]


def test_the_policy_does_not_count_those_that_go() -> None:
    """A worker that was called is not there for it, and no trial begins meanwhile."""
    rig = Rig(1, 2).serving()
    refresh(rig)
    rig.ready(seat(2))
    rig.do(tick(queued=0))
    assert rig.view.snapshot.ready == 1
    assert rig.view.may_grow is False


def test_a_stuck_one_is_not_waited_for() -> None:
    """The refresh is over although its callback hangs; if it serves after all, it is renewed."""
    rig = Rig(1, 3, create_timeout=1.0, max_stuck_workers=1, **CALM)
    rig.do(ev.Started())
    rig.do(ev.Wakeup(), 1.0)
    assert rig.view.stuck == 1
    rig.wake()
    rig.ready(seat(2))
    assert refresh(rig) == [start(3)]
    assert rig.ready(seat(3)) == [renew(2)]
    assert leave(rig, 2) == [act.Refreshed(1)]
    assert rig.ready(seat(1)) == [renew(1)]
    assert leave(rig, 1) == []


def test_it_goes_on_during_a_stop() -> None:
    """Tasks that were accepted still run, so their resources are renewed; at the drain everything goes."""
    rig = Rig(2, 4, **CALM).serving()
    refresh(rig)
    rig.do(ev.StopRequested("bye"))
    assert rig.ready(seat(3)) == [renew(1), start(4)]
    assert without_logs(rig.do(ev.Drained())) == [
        act.MarkSurplus(seat(4), surplus=True),
        act.Retire(2),
    ]


def test_none_is_begun_after_the_drain_or_in_a_kill() -> None:
    """There is nothing to be renewed any more, and nobody is told that it was."""
    rig = Rig(2, 4, **CALM).serving()
    rig.do(ev.KillRequested("bye", deadline=100.0))
    assert rig.do(ev.RefreshRequested(1)) == []
    assert rig.view.generation == 0


def test_a_kill_during_a_refresh() -> None:
    """The extra worker is not wanted any more."""
    rig = Rig(1, 2, **CALM).serving()
    refresh(rig)
    actions = without_logs(rig.do(ev.KillRequested("bye", deadline=100.0)))
    assert actions[-2:] == [act.MarkSurplus(seat(2), surplus=True), act.Retire(1)]


def test_the_pool_of_run_task() -> None:
    """Idle ones are replaced one at a time, and the refresh is over when those that are lent have gone, too."""
    rig = Rig(1, 2, has_pool=True, **CALM).serving()
    assert without_logs(rig.do(ev.RefreshRequested(1))) == [act.OutdatePool(), start(2), act.RenewPool()]
    rig.ready(seat(2))
    assert leave(rig, 1) == []
    assert not rig.view.awaits_pool
    assert rig.do(ev.PoolRenewed(left=True)) == [act.RenewPool()]
    assert rig.do(ev.PoolRenewed(left=False)) == []
    assert rig.view.awaits_pool
    assert rig.do(ev.PoolCurrent()) == [act.Refreshed(1)]
    assert not rig.view.awaits_pool


def test_the_pool_of_run_task_is_tried_again() -> None:
    """A creation that fails is tried again after a pause; a lost resource is made first."""
    rig = Rig(1, 2, has_pool=True, **CALM).serving()
    rig.do(ev.RefreshRequested(1))
    rig.ready(seat(2))
    leave(rig, 1)
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert rig.do(ev.Wakeup()) == []
    assert rig.wake() == [act.RefillPool()]
    assert without_logs(rig.do(ev.PoolRefilled())) == [act.RenewPool()]


def test_a_renewal_of_the_pool_that_makes_nothing_is_no_success() -> None:
    """What resources depend on is down, as before, and one missing worker alone finds out whether it still is."""
    rig = Rig(1, 2, has_pool=True, **CALM).serving()
    rig.do(ev.RefreshRequested(1))
    rig.ready(seat(2))
    leave(rig, 1)
    rig.do(ev.PoolRefillFailed("no route"))
    assert rig.wake() == [act.RenewPool()]
    assert without_logs(rig.do(ev.Resized(4, 4))) == []
    probes = rig.do(ev.PoolRenewed(left=False, made=False))
    assert [type(action) for action in without_logs(probes)] == [act.StartWorker]
    assert rig.view.breaker is BreakerState.HALF_OPEN


def test_a_second_refresh_while_the_pool_is_renewed() -> None:
    """What was found idle before it says nothing about it."""
    rig = Rig(1, 2, has_pool=True, **CALM).serving()
    rig.do(ev.RefreshRequested(1))
    assert without_logs(rig.do(ev.RefreshRequested(2))) == [act.OutdatePool()]
    assert rig.do(ev.PoolRenewed(left=False)) == [act.RenewPool()]
    assert rig.do(ev.PoolRenewed(left=False)) == []


def test_those_that_are_parked_serve_again_first() -> None:
    """A trial of fewer workers ends: none of the ready ones goes before those that were parked are back."""
    rig, _ = trying(fewer=4)
    assert without_logs(rig.do(ev.RefreshRequested(1))) == [act.OutdatePool(), act.Park(0)]
    assert rig.view.outdated == 8
    rig.do(ev.PoolCurrent())
    assert without_logs(rig.do(ev.WorkerUnparked(seat(5)))) == [renew(1)]
    assert without_logs(rig.do(ev.WorkerUnparked(seat(6)))) == [renew(2)]
    assert (rig.view.ready, rig.view.retiring, rig.view.parked) == (6, 2, 2)


def test_a_breaker_that_others_have_opened() -> None:
    """Without room, a worker that goes is the next try: nothing else would ever tell whether resources can be made again."""
    rig = Rig(2, 2, **CALM).serving()
    rig.do(ev.CallerCreation(rig.now, "no route"))
    assert refresh(rig) == []
    assert rig.view.next_creation is not None
    assert rig.do(ev.Wakeup()) == []
    assert rig.wake() == [renew(1)]
    assert leave(rig, 1) == [start(1, 3)]
    rig.fail(seat(1, 3))
    assert (rig.view.ready, rig.view.retiring) == (1, 0)
    assert without_logs(rig.wake()) == [start(1, 4)]
    assert without_logs(rig.ready(seat(1, 4))) == [renew(2)]


def test_a_probe_of_others_is_waited_for() -> None:
    """What it comes to decides whether a worker makes room."""
    rig = Rig(1, 1, has_pool=True, **CALM).serving()
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    assert rig.wake() == [act.RefillPool()]
    assert without_logs(rig.do(ev.RefreshRequested(1))) == [act.OutdatePool()]
    assert renew(1) in rig.do(ev.PoolRefilled())
