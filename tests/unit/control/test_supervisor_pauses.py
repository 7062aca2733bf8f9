"""Pauses: no task starts, workers are kept, and nothing is decided on a queue that cannot move."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import Phase
from tasker.control.retries import RetryPolicy
from unit.control.rig import Rig, levels, seat, start, tick, without_logs

PAUSE, RESUME, QUIET = ev.PauseRequested(), ev.ResumeRequested(), ev.Quiet()


def test_a_pause_and_its_end() -> None:
    """Tasks are held at the request, once; it waits for the last one; they are released once."""
    rig = Rig().serving()
    actions = rig.do(PAUSE)
    assert (without_logs(actions), levels(actions)) == ([act.HoldTasks()], ["info"])
    assert (rig.view.phase, rig.view.awaits_quiet) == (Phase.PAUSING, True)
    assert rig.do(PAUSE) == []
    assert rig.do(QUIET) == []
    assert (rig.view.phase, rig.view.awaits_quiet) == (Phase.PAUSED, False)
    assert rig.do(PAUSE) == rig.do(QUIET) == []
    actions = rig.do(RESUME)
    assert (without_logs(actions), levels(actions)) == ([act.ReleaseTasks()], ["info"])
    assert rig.view.phase is Phase.RUNNING
    assert rig.do(RESUME) == rig.do(QUIET) == []
    assert rig.view.phase is Phase.RUNNING


def test_nothing_is_scaled_in_a_pause() -> None:
    """A long queue adds no worker, and an empty one takes none away; nor do blocked workers ask for one."""
    rig = Rig(1, 4).serving().grown(3)
    rig.do(PAUSE)
    for _ in range(50):
        assert without_logs(rig.do(tick(queued=100), 0.5)) == []
    for _ in range(50):
        assert without_logs(rig.do(tick(), 1.0)) == []
    assert rig.do(ev.AllBlocked(3)) == []
    assert rig.view.ready == 3
    rig.do(RESUME)
    assert start(4) in rig.do(tick(queued=100), 0.5)


def test_a_lost_worker_is_replaced_in_a_pause() -> None:
    """The resources are kept: what goes is made anew."""
    rig = Rig(1, 1).serving()
    rig.do(PAUSE)
    assert start(1, 2) in rig.do(ev.WorkerDied(seat(1), "boom"))


@pytest.mark.parametrize("quiet", [False, True])
def test_a_stop_releases(quiet: bool) -> None:
    """Tasks come in no more, and those that are in start."""
    rig = Rig(1, 1).serving()
    rig.do(PAUSE)
    if quiet:
        rig.do(QUIET)
    assert without_logs(rig.do(ev.StopRequested("stop"))) == [act.RefuseTasks("stop"), act.ReleaseTasks()]
    assert rig.view.phase is Phase.DRAINING
    assert rig.do(PAUSE) == rig.do(RESUME) == rig.do(QUIET) == []
    assert rig.view.phase is Phase.DRAINING


def test_a_kill_releases_behind_the_bar() -> None:
    """Workers go on once no task may start."""
    rig = Rig(1, 1).serving()
    rig.do(PAUSE)
    actions = without_logs(rig.do(ev.KillRequested("kill", 9.0)))
    assert actions.index(act.CancelRunning()) < actions.index(act.ReleaseTasks()) < actions.index(act.DropQueued())
    assert act.ReleaseTasks() not in rig.do(ev.KillRequested("kill", 8.0))


def test_ready_timeout_does_not_count_a_pause() -> None:
    """Its time begins anew when the pause ends, and it asks for no wakeup before."""
    rig = Rig(1, 1, ready_timeout=1.0)
    rig.do(ev.Started())
    rig.do(PAUSE, 0.5)
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(ev.Wakeup(), 10.0) == []
    rig.do(RESUME)
    assert rig.do(ev.Wakeup(), 0.9) == []
    assert [type(action) for action in rig.do(ev.Wakeup(), 0.1)] == [act.FailQueued]


def test_a_pause_of_a_served_pool_excuses_nothing() -> None:
    """Where a worker is ready, no time of waiting begins."""
    rig = Rig(1, 1, ready_timeout=1.0).serving()
    rig.do(PAUSE)
    rig.do(RESUME)
    assert rig.supervisor.wakeup(rig.now) is None


def test_retries_pause_as_ever() -> None:
    """What fails during a pause is tried again after its time, not at once as in a stop."""
    rig = Rig(1, 1, retry=RetryPolicy(backoff=1.0)).serving()
    rig.do(PAUSE)
    assert type(rig.unhealthy(seat(1))[0]) is act.Delay
