"""A kill whose time is up as it begins."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from unit.control.rig import Rig, seat, without_logs


def test_idle_workers_retire_all_the_same() -> None:
    """Those that are left behind at once get their Retire too: an idle one would otherwise wait for a task for ever."""
    rig = Rig(2, 2).serving()
    actions = without_logs(rig.do(ev.KillRequested("no time", deadline=rig.now)))
    assert act.Abandon((seat(1), seat(2))) in actions
    assert act.Retire(2) in actions
    assert actions[-1] == act.Finish()


def test_with_time_they_retire_at_once() -> None:
    """A kill with time left sends the Retire along, and waits."""
    rig = Rig(2, 2).serving()
    assert without_logs(rig.do(ev.KillRequested("some time", deadline=rig.now + 1))) == [
        act.RefuseTasks("some time"),
        act.CancelRunning(),
        act.DropQueued(),
        act.Retire(2),
    ]
