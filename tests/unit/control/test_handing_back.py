"""A stop that hands back the tasks which have not started."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import Phase
from tasker.control.retries import RetryPolicy
from unit.control.rig import Rig, seat, without_logs

STOP, HAND_BACK = ev.StopRequested("stop"), ev.StopRequested("stop", hand_back=True)


def test_a_stop_that_hands_back() -> None:
    """No task starts from the request on; what waits comes back once no task comes in. It need not be said again."""
    rig = Rig(1, 1).serving()
    assert without_logs(rig.do(HAND_BACK)) == [act.HoldTasks(), act.RefuseTasks("stop"), act.HandBack()]
    assert rig.do(HAND_BACK) == []
    assert rig.do(STOP) == []


@pytest.mark.parametrize("quiet", [False, True])
def test_of_a_paused_manager(quiet: bool) -> None:
    """What is held is not released before it was handed back."""
    rig = Rig(1, 1).serving()
    rig.do(ev.PauseRequested())
    if quiet:
        rig.do(ev.Quiet())
    assert without_logs(rig.do(HAND_BACK)) == [act.HoldTasks(), act.RefuseTasks("stop"), act.HandBack()]


def test_during_a_stop() -> None:
    """A stop that is under way hands back at once."""
    rig = Rig(1, 1).serving()
    rig.do(STOP)
    assert rig.do(HAND_BACK) == [act.HoldTasks(), act.HandBack()]


@pytest.mark.parametrize("at_stop", ["run", "report"])
def test_delayed_tasks_come_back(at_stop: str) -> None:
    """They are neither run out nor reported; what fails during the stop follows."""
    policy = RetryPolicy(backoff=100.0, max_backoff=100.0, at_stop=at_stop)  # type: ignore[arg-type]
    rig = Rig(2, 2, retry=policy).serving()
    rig.unhealthy(seat(1))
    actions = without_logs(rig.do(HAND_BACK))
    assert actions == [act.HoldTasks(), act.RefuseTasks("stop"), act.Resume("t"), act.HandBack()]
    later = without_logs(rig.do(ev.AttemptFailed(seat(2), "u", 1, once=False)))
    assert later == [act.HoldTasks(), act.Delay("u", pause=100.0), act.Resume("u"), act.HandBack()]


@pytest.mark.parametrize("at_stop", ["run", "report"])
def test_a_task_that_snoozes_meanwhile(at_stop: str) -> None:
    """It follows, too: its time is for who goes on with it."""
    rig = Rig(1, 1, retry=RetryPolicy(at_stop=at_stop)).serving()  # type: ignore[arg-type]
    rig.do(HAND_BACK)
    later = without_logs(rig.do(ev.TaskSnoozed(seat(1), "t", 60.0, OSError(), cancelled=False)))
    assert later == [act.HoldTasks(), act.Delay("t", snoozed=True), act.Resume("t"), act.HandBack()]


@pytest.mark.parametrize("fails_fast", [False, True])
def test_where_no_worker_serves(fails_fast: bool) -> None:
    """What is queued is handed back all the same, and does not fail for want of a worker."""
    rig = Rig(1, 1, max_stuck_workers=0, fails_fast=fails_fast).serving()
    rig.do(ev.TaskOverdue(seat(1), "late"))
    actions = without_logs(rig.do(HAND_BACK))
    assert actions == [act.HoldTasks(), act.RefuseTasks("stop"), act.HandBack()]
    assert not any(isinstance(action, act.FailQueued) for action in rig.do(ev.Wakeup(), 100.0))


def test_a_retry_at_once_follows() -> None:
    """A task that a worker gives back during the stop is handed back as well."""
    rig = Rig(1, 1).serving()
    rig.do(HAND_BACK)
    actions = without_logs(rig.unhealthy(seat(1)))
    assert actions[0] == act.HoldTasks(), "or an idle worker would start it"
    assert actions.index(act.Requeue("t")) < actions.index(act.HandBack())


def test_a_kill_in_between() -> None:
    """It releases what was held, behind the bar, and drops the tasks."""
    rig = Rig(1, 1).serving()
    rig.do(HAND_BACK)
    actions = without_logs(rig.do(ev.KillRequested("kill", 9.0)))
    assert act.HandBack() not in actions
    assert actions.index(act.CancelRunning()) < actions.index(act.ReleaseTasks())


def test_too_late() -> None:
    """Where every task has its outcome, there is nothing to hand back."""
    rig = Rig(1, 1).serving()
    rig.do(STOP)
    rig.do(ev.Drained())
    assert rig.view.phase is Phase.CLOSING
    assert rig.do(HAND_BACK) == []
