"""The supervisor with when_unavailable="fail": tasks fail at once while no worker is to be had, and only then."""

from __future__ import annotations

from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.creation import BreakerState
from tasker.control.lifecycle import Phase
from unit.control.rig import Rig, seat, start, tick, without_logs

NO_ROUTE = act.FailQueued("no route")


def down(worker_count: int = 1, **plan: Any) -> Rig:
    """A rig none of whose first workers got a resource."""
    rig = Rig(worker_count, 4, fails_fast=True, **plan)
    rig.do(ev.Started())
    for number in range(1, worker_count + 1):
        rig.fail(seat(number))
    return rig


def test_queued_tasks_fail_with_the_failure() -> None:
    """As soon as the only worker could not be made, what is queued fails, and the view says why further tasks will."""
    rig = Rig(1, 1, fails_fast=True)
    rig.do(ev.Started())
    assert rig.view.in_vain is None, "nothing has failed yet"
    assert without_logs(rig.fail(seat(1))) == [NO_ROUTE]
    assert rig.view.in_vain == "no route"


def test_without_the_option_tasks_wait() -> None:
    """By default nothing fails."""
    rig = Rig(1, 1)
    rig.do(ev.Started())
    assert without_logs(rig.fail(seat(1))) == []
    assert rig.view.in_vain is None


def test_what_is_queued_later_fails_with_the_next_event() -> None:
    """While the breaker is open, and while a probe is under way, a wakeup is enough."""
    rig = down()
    assert rig.do(ev.Wakeup()) == [NO_ROUTE]
    assert without_logs(rig.wake()) == [start(1, 2), NO_ROUTE]
    assert rig.view.breaker is BreakerState.HALF_OPEN
    assert rig.do(ev.Wakeup()) == [NO_ROUTE]
    assert without_logs(rig.ready(seat(1, 2))) == []
    assert rig.do(ev.Wakeup()) == []
    assert rig.view.in_vain is None


def test_nothing_fails_while_one_serves() -> None:
    """A ready worker runs the tasks, whatever the breaker says; when it goes, they fail."""
    rig = Rig(2, 2, fails_fast=True)
    rig.do(ev.Started())
    rig.ready(seat(1))
    assert without_logs(rig.fail(seat(2))) == []
    assert rig.do(ev.Wakeup()) == []
    assert without_logs(rig.unhealthy(seat(1))) == [act.Requeue("t"), NO_ROUTE]


def test_those_that_began_before_are_waited_for() -> None:
    """Of three workers the first fails: the others may still come. With the last of them hope is gone."""
    rig = Rig(3, 3, fails_fast=True)
    rig.do(ev.Started())
    assert without_logs(rig.fail(seat(1))) == []
    assert without_logs(rig.fail(seat(2))) == []
    assert without_logs(rig.fail(seat(3))) == [NO_ROUTE]


def test_a_worker_that_is_replaced_is_waited_for() -> None:
    """An unhealthy resource opens no breaker: the task waits for the next worker."""
    rig = Rig(1, 1, fails_fast=True).serving()
    assert without_logs(rig.unhealthy(seat(1))) == [act.Requeue("t")]
    assert without_logs(rig.ended(seat(1))) == [start(1, 2)]


def test_without_base_workers() -> None:
    """With worker_count=0 nothing is tried until a task comes. It has a worker started, and fails with it; while the target
    stands, others fail at once."""
    rig = Rig(0, 1, fails_fast=True)
    rig.do(ev.Started())
    assert without_logs(rig.do(ev.TaskWaits())) == [start(1)]
    assert without_logs(rig.fail(seat(1))) == [NO_ROUTE]
    assert rig.do(ev.Wakeup()) == [NO_ROUTE]
    while rig.view.target:
        rig.do(tick(), 1.0)
        if rig.supervisor.table.states:
            rig.fail(next(iter(rig.supervisor.table.states)))
    assert rig.view.in_vain is None
    rig.do(ev.Wakeup(), 60.0)
    assert without_logs(rig.do(ev.TaskWaits()))[0] == start(1, rig.supervisor.table._generation)


def test_a_paused_manager() -> None:
    """Tasks wait to be resumed, whatever happens meanwhile; then they fail at once."""
    rig = Rig(1, 1, fails_fast=True).serving()
    rig.do(ev.PauseRequested())
    rig.do(ev.WorkerDied(seat(1), "boom"))
    assert without_logs(rig.fail(seat(1, 2))) == []
    assert rig.view.in_vain is None
    assert NO_ROUTE in rig.do(ev.ResumeRequested())


def test_stop_and_kill() -> None:
    """A stop fails what is queued in the same way; a kill drops it."""
    rig = down()
    rig.do(ev.StopRequested("bye"))
    assert rig.do(ev.Wakeup()) == [NO_ROUTE]
    rig.do(ev.KillRequested("bye", deadline=100.0))
    assert rig.view.phase is Phase.KILLING
    assert act.FailQueued not in map(type, rig.do(ev.Wakeup()))
