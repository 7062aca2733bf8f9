"""worker_count=0: no worker is kept while there is nothing to do, and the first task has one started."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.events import Load
from tasker.control.journal import ScalingExplanation
from tasker.control.retries import RetryPolicy
from unit.control.rig import Rig, seat, start, tick, without_logs
from unit.control.test_idleness import Wanting
from unit.control.test_policy_faults import Policy, raises


def idle(**plan: Any) -> Rig:
    """A pool of at most two workers that has just started."""
    rig = Rig(0, 2, **plan)
    assert without_logs(rig.do(ev.Started())) == []
    assert (rig.view.target, rig.view.active) == (0, True)
    return rig


def test_the_first_task_has_a_worker_started() -> None:
    """At once, and one; further ones change nothing."""
    rig = idle()
    assert without_logs(rig.do(tick())) == []
    assert rig.do(ev.TaskWaits())[-1] == start(1)
    assert rig.view.decisions[-1].cause == "task"
    assert rig.do(ev.TaskWaits()) == []
    rig.ready(seat(1))
    assert rig.view.target == 1


def test_it_goes_when_it_was_idle_for_so_long() -> None:
    """Not before, though the policy would let it go; and again at the next task."""
    rig = idle(idle_timeout=30.0)
    rig.do(ev.TaskWaits())
    rig.ready(seat(1))
    rig.do(tick(running=1, arrived=1), 0.1)
    for _ in range(29):
        assert without_logs(rig.do(tick(arrived=1, ended=1), 1.0)) == []
    assert rig.view.target == 1
    assert without_logs(rig.do(tick(arrived=1, ended=1), 2.0)) == [act.Retire(1)]
    assert rig.view.target == 0
    rig.do(ev.WorkerRetiring(seat(1)))
    rig.ended(seat(1))
    assert without_logs(rig.do(ev.TaskWaits())) == [start(1, 2)]


def test_without_a_timeout_the_policy_decides() -> None:
    """It holds the last one like any other burst worker."""
    rig = idle(policy=Wanting(0))
    rig.do(ev.TaskWaits())
    rig.ready(seat(1))
    assert without_logs(rig.do(tick(running=1), 0.1)) == []
    assert without_logs(rig.do(tick(), 0.1)) == [act.Retire(1)]


@pytest.mark.parametrize("policy", [Wanting(0), Wanting(-3), Policy(raises)], ids=["none", "less", "faulty"])
def test_a_task_that_waits_gets_a_worker_whatever_the_policy_says(policy: Any) -> None:
    """Also one that was not reported: a retry, or one that came in the moment in which the last worker was let go."""
    rig = idle(policy=policy)
    assert without_logs(rig.do(tick(queued=1), 0.1)) == [start(1)]


def test_memory_is_no_reason_to_have_none() -> None:
    """The first worker is made however full the memory is; further ones are not."""
    rig = idle(policy=Wanting(2), max_memory=0.5)
    full = Load(queued=5, running=0, arrived=5, ended=0, memory=0.9)
    assert without_logs(rig.do(ev.Tick(full), 0.1)) == [start(1)]
    assert without_logs(rig.do(ev.Tick(full), 0.1)) == []
    assert rig.view.target == 1


def test_a_delayed_retry_has_a_worker_started() -> None:
    """Its worker may be gone by the time at which it is tried again."""
    rig = idle(retry=RetryPolicy(backoff=100.0, max_backoff=100.0), policy=Wanting(0))
    rig.do(ev.TaskWaits())
    rig.ready(seat(1))
    assert without_logs(rig.do(ev.AttemptFailed(seat(1), "t", 1, False, own=True))) == [act.Delay("t")]
    assert without_logs(rig.do(tick(queued=1), 0.1)) == [act.Retire(1)]
    rig.do(ev.WorkerRetiring(seat(1)))
    rig.ended(seat(1))
    assert without_logs(rig.wake()) == [act.Resume("t"), start(1, 2)]


@pytest.mark.parametrize("end", [ev.ResumeRequested(), ev.StopRequested("bye")], ids=["resume", "stop"])
def test_not_during_a_pause(end: Any) -> None:
    """What waits then gets its worker when tasks may start again."""
    rig = idle()
    rig.do(ev.PauseRequested())
    rig.do(ev.Quiet())
    assert rig.do(ev.TaskWaits()) == []
    assert without_logs(rig.do(ev.Wakeup(), 1.0)) == []
    assert without_logs(rig.do(end))[-1] == start(1)


def test_not_before_the_start_and_after_the_drain() -> None:
    """A report that comes too early or too late starts nothing."""
    rig = Rig(0, 2)
    assert rig.do(ev.TaskWaits()) == []
    assert rig.do(ev.Resized(1, 2)) == []
    rig = idle()
    rig.do(ev.StopRequested("bye"))
    assert without_logs(rig.do(ev.TaskWaits())) == [start(1)], "tasks that were accepted are run"
    rig.ready(seat(1))
    rig.do(ev.Drained())
    assert rig.do(ev.TaskWaits()) == []
    assert rig.view.active is False


def test_a_stop_without_a_worker() -> None:
    """Nothing is started for it."""
    rig = idle()
    rig.do(ev.StopRequested("bye"))
    assert without_logs(rig.do(ev.Drained())) == [act.Finish()]


def test_it_is_resized_like_any_other() -> None:
    """To a base and back."""
    rig = idle()
    assert without_logs(rig.do(ev.Resized(1, 2))) == [start(1)]
    rig.ready(seat(1))
    rig.do(ev.Resized(0, 2))
    assert rig.view.base == 0


def test_tasks_that_fail_fast_leave_it_a_way_back() -> None:
    """While nothing is wanted, nothing is said of tasks to come: the next one has a creation tried, if its pause is over."""
    rig = idle(fails_fast=True, policy=Wanting(0))
    rig.do(ev.TaskWaits())
    rig.fail(seat(1))
    assert rig.view.in_vain is not None
    rig.do(tick(), 0.1)
    assert (rig.view.target, rig.view.in_vain) == (0, None)
    rig.now += 60.0
    assert without_logs(rig.do(ev.TaskWaits()))[0] == start(1, 2)


def test_tasks_wait_for_so_long() -> None:
    """ready_timeout counts from the submission, not from when there was no worker."""
    rig = idle(ready_timeout=5.0)
    rig.do(ev.Wakeup(), 100.0)
    assert rig.supervisor.wakeup(rig.now) is None, "there is nothing to wait for"
    actions = rig.do(ev.TaskWaits())
    assert [action.before for action in actions if isinstance(action, act.FailQueued)] == [95.0]


def test_it_is_explained() -> None:
    """The text says why there is no worker, and what happens at the next task."""
    explained = ScalingExplanation(0.0, 0, 0, 0, 0, 1, None, None, ())
    said = "no worker is kept while there is nothing to do (worker_count=0): the next task has one started"
    assert str(explained).splitlines()[1] == said
    assert said not in str(replace(explained, target=1))
    assert said not in str(replace(explained, worker_count=1))
