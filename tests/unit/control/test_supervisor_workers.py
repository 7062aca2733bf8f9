"""The supervisor: start, unhealthy failures, lost workers, late reports. Each scenario states its actions."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import Phase
from unit.control.rig import Rig, levels, seat, start, tick, without_logs


def test_before_the_start() -> None:
    """Before Started nothing is wanted."""
    rig = Rig(2, 4)
    assert rig.do(ev.Wakeup()) == []
    assert (rig.view.phase, rig.view.target) == (Phase.RUNNING, 0)


def test_start() -> None:
    """At the start each base worker is started, and nothing else happens."""
    rig = Rig(3, 6)
    assert rig.do(ev.Started()) == [start(1), start(2), start(3)]
    assert (rig.view.starting, rig.view.ready, rig.view.target) == (3, 0, 3)


def test_ready() -> None:
    """A worker that is ready needs nothing."""
    rig = Rig(2, 4)
    rig.do(ev.Started())
    assert rig.ready(seat(1)) == []
    assert (rig.view.starting, rig.view.ready) == (1, 1)


def test_view() -> None:
    """The view shows bounds and counts."""
    view = Rig(2, 4).serving().view
    assert (view.base, view.most) == (2, 4)
    assert (view.starting, view.ready, view.ending) == (0, 2, 0)
    assert (view.lost, view.replaced, view.abandoned) == (0, 0, 0)
    assert (view.failing_creations, view.creation_error) == (0, None)
    assert view.may_grow
    assert not Rig(2, 4, scales=False).serving().view.may_grow


def test_unhealthy_with_headroom() -> None:
    """An unhealthy failure requeues the task and, below the maximum, replaces the
    worker at once."""
    rig = Rig(2, 4).serving()
    assert rig.unhealthy(seat(1)) == [act.Requeue("t"), start(3)]
    assert (rig.view.ready, rig.view.ending, rig.view.replaced) == (1, 1, 1)
    assert rig.ended(seat(1)) == []


def test_unhealthy_at_the_maximum() -> None:
    """With no room under the maximum, the replacement waits until the worker has ended."""
    rig = Rig(2, 2).serving()
    assert rig.unhealthy(seat(1)) == [act.Requeue("t")]
    assert rig.do(tick(queued=1)) == []
    assert rig.ended(seat(1)) == [start(1, 3)]


def test_once() -> None:
    """A once task ends with its own error; its worker is replaced all the same."""
    rig = Rig(2, 4).serving()
    assert rig.unhealthy(seat(1), once=True) == [act.FailTask("t", own=True), start(3)]


def test_cancelled() -> None:
    """A task that was cancelled while it ran is not tried again; its worker is replaced all the same."""
    rig = Rig(2, 4).serving()
    event = ev.AttemptFailed(seat(1), "t", attempts=1, once=False, cancelled=True)
    assert rig.do(event) == [act.FailTask("t", own=True), start(3)]


def test_exhausted() -> None:
    """After max_retries further attempts the task fails as exhausted; its worker is replaced."""
    rig = Rig(1, 8, max_retries=2).serving()
    assert rig.unhealthy(seat(1), 2) == [act.Requeue("t"), start(2)]
    rig.ready(seat(2))
    assert rig.unhealthy(seat(2), 3) == [act.FailTask("t", own=False), start(3)]


def test_no_retries() -> None:
    """With max_retries=0 the first unhealthy failure exhausts the task."""
    rig = Rig(1, 2, max_retries=0).serving()
    assert rig.unhealthy(seat(1), 1) == [act.FailTask("t", own=False), start(2)]


def test_all_base_workers_unhealthy() -> None:
    """All workers may fail at once: all tasks are requeued, and all workers
    replaced as room allows."""
    rig = Rig(3, 4).serving()
    assert rig.unhealthy(seat(1)) == [act.Requeue("t"), start(4)]
    assert rig.unhealthy(seat(2)) == [act.Requeue("t")]
    assert rig.unhealthy(seat(3)) == [act.Requeue("t")]
    assert rig.ended(seat(2)) == [start(2, 5)]
    assert rig.ended(seat(1)) == [start(1, 6)]
    assert rig.ended(seat(3)) == []
    assert (rig.view.starting, rig.view.replaced) == (3, 3)


def test_all_base_workers_lost() -> None:
    """Lost workers are replaced one by one, each with a line in the log; their
    slots are taken again."""
    rig = Rig(2, 2).serving()
    said = act.Log("error", "worker %d was lost: %s", (1, "boom"))
    assert rig.do(ev.WorkerDied(seat(1), "boom")) == [said, start(1, 3)]
    actions = rig.do(ev.WorkerDied(seat(2), "boom"))
    assert (levels(actions), without_logs(actions)) == (["error"], [start(2, 4)])
    assert (rig.view.lost, rig.view.replaced, rig.view.starting) == (2, 0, 2)


def test_lost_while_starting() -> None:
    """A worker lost before it was ready is a failed creation: it is replaced after a pause, and not at once for ever."""
    rig = Rig(1, 2)
    rig.do(ev.Started())
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == []
    assert (rig.view.failing_creations, rig.view.lost) == (1, 1)
    assert rig.wake() == [start(1, 2)]


def test_lost_while_ending() -> None:
    """A worker lost while it ends makes room like one that ended."""
    rig = Rig(1, 1).serving()
    rig.unhealthy(seat(1))
    assert without_logs(rig.do(ev.WorkerDied(seat(1), "boom"))) == [start(1, 2)]
    assert (rig.view.lost, rig.view.replaced) == (1, 1)


def interrupted(slot: int) -> ev.WorkerDied:
    """The worker of that slot was interrupted, and whether it was about to retire is not known."""
    return ev.WorkerDied(seat(slot), "boom", may_have_retired=True)


def test_lost_when_it_was_to_retire() -> None:
    """It is the one that goes: the other one stays, and is not replaced at the end either."""
    rig = Rig(2, 2).serving()
    assert without_logs(rig.do(ev.Resized(1, 1))) == [act.Retire(1)]
    assert without_logs(rig.do(interrupted(2))) == []
    assert (rig.view.ready, rig.view.retiring) == (1, 0)
    rig.do(ev.StopRequested("stop"))
    assert without_logs(rig.do(ev.Drained())) == [act.Retire(1)]


def test_lost_while_another_one_is_to_retire() -> None:
    """If it was not about to retire, one more than should obeys the Retire, and is replaced."""
    rig = Rig(2, 2).serving()
    rig.do(ev.Resized(1, 1))
    assert without_logs(rig.do(interrupted(1))) == []
    assert rig.do(ev.WorkerRetiring(seat(2))) == []
    assert rig.ended(seat(2)) == [start(1, 3)]


def test_interrupted_after_it_has_said_that_it_retires() -> None:
    """The Retire is counted as obeyed once."""
    rig = Rig(3, 3).serving()
    rig.do(ev.Resized(1, 1))
    rig.do(ev.WorkerRetiring(seat(1)))
    assert without_logs(rig.do(interrupted(1))) == []
    assert (rig.view.ready, rig.view.retiring) == (2, 1)


def test_a_worker_that_a_cancelled_task_has_spoiled_is_replaced() -> None:
    """It counts as replaced, and another one starts when it has ended."""
    rig = Rig(2, 2).serving()
    assert rig.do(ev.WorkerUnhealthy(seat(1))) == []
    assert rig.ended(seat(1)) == [start(1, 3)]
    assert (rig.view.lost, rig.view.replaced) == (0, 1)


def test_a_worn_worker_is_replaced() -> None:
    """It ends without a Retire, counts neither as lost nor as replaced for its health, and another one starts."""
    rig = Rig(2, 2).serving()
    assert rig.do(ev.WorkerWorn(seat(1))) == []
    assert rig.ended(seat(1)) == [start(1, 3)]
    assert (rig.view.lost, rig.view.replaced, rig.view.renewed) == (0, 0, 1)
    assert rig.do(ev.WorkerWorn(seat(1))) == [], "late"
    assert rig.view.renewed == 1


@pytest.mark.parametrize(
    "event",
    [
        ev.WorkerReady(seat(1)),
        ev.CreationFailed(seat(1), "late"),
        ev.WorkerEnded(seat(1)),
        ev.WorkerDied(seat(1), "late"),
        ev.WorkerReady(seat(9)),
    ],
)
def test_late_reports(event: ev.Event) -> None:
    """A report from a predecessor in the same slot, or from a worker that never was, changes nothing."""
    rig = Rig(1, 1).serving()
    rig.unhealthy(seat(1))
    rig.ended(seat(1))
    rig.ready(seat(1, 2))
    before = rig.view
    assert rig.do(event) == []
    assert rig.view == before


def test_task_of_a_late_report() -> None:
    """A task that comes back from a worker that is not known any more is still decided on, once."""
    rig = Rig(1, 1).serving()
    rig.do(ev.WorkerDied(seat(1), "boom"))
    assert rig.unhealthy(seat(1)) == [act.Requeue("t")]
    assert rig.view.replaced == 0


def test_wakeup_with_nothing_to_do() -> None:
    """A healthy pool asks for no wakeup, and one that comes does nothing."""
    rig = Rig().serving()
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(ev.Wakeup(), 100.0) == []


def test_impossible_move() -> None:
    """A report that contradicts the table is a fault of the engine, and raises."""
    rig = Rig(1, 1).serving()
    with pytest.raises(KeyError):
        rig.ready(seat(1))
