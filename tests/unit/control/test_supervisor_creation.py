"""The supervisor while resources can't be made: single-flight, backoff, recovery, ready_timeout."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from unit.control.rig import Rig, levels, seat, start, tick, without_logs


def failing(worker_count: int = 3, max_worker_count: int = 3, **plan: Any) -> Rig:
    """A rig none of whose first workers got a resource."""
    rig = Rig(worker_count, max_worker_count, **plan)
    for action in rig.do(ev.Started()):
        assert isinstance(action, act.StartWorker)
        rig.fail(action.seat)
    return rig


def test_failure_waits_and_says_so() -> None:
    """A failed creation starts nothing at once; the log has the number, the delay and the error."""
    rig = Rig(1, 2)
    rig.do(ev.Started())
    (said,) = rig.fail(seat(1))
    assert isinstance(said, act.Log)
    count, delay, error = said.args
    assert (said.level, count, error) == ("warning", 1, "no route")
    assert 0.0 <= float(str(delay)) <= 0.1
    text = f"a resource could not be made (1 in a row, next try in {delay:.2f} s): no route"
    assert said.message % said.args == text
    assert (rig.view.failing_creations, rig.view.creation_error) == (1, "no route")


def test_single_flight() -> None:
    """While creation fails, only one worker starts at a time, after the delay."""
    rig = failing()
    assert rig.do(ev.Wakeup()) == []
    assert rig.wake() == [start(1, 4)]
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(tick(queued=9), 60.0) == []
    assert without_logs(rig.fail(seat(1, 4))) == []
    assert rig.wake() == [start(1, 5)]


def test_backoff_grows_to_thirty_seconds() -> None:
    """The tries become rarer, up to one in thirty seconds."""
    rig = failing(1, 1)
    pauses = []
    for generation in range(2, 16):
        before = rig.now
        assert rig.wake() == [start(1, generation)]
        pauses.append(rig.now - before)
        rig.fail(seat(1, generation))
    for number, pause in enumerate(pauses):
        full = min(30.0, 0.1 * 2**number)
        assert 0.0 <= pause <= full + 1e-9


def test_recovery() -> None:
    """The first worker that gets its resource ends the emergency: it is logged, and
    all others start at once."""
    rig = failing()
    rig.wake()
    actions = rig.ready(seat(1, 4))
    said = act.Log("info", "resources can be made again, after %s", ("1 failure",))
    assert actions == [said, start(2, 5), start(3, 6)]
    assert (rig.view.failing_creations, rig.view.creation_error) == (0, None)


def test_recovery_by_one_that_started_before() -> None:
    """A slow creation that began before the failures and succeeds ends the emergency too."""
    rig = Rig(2, 2)
    rig.do(ev.Started())
    rig.fail(seat(1))
    actions = rig.ready(seat(2))
    assert (levels(actions), without_logs(actions)) == (["info"], [start(1, 3)])


def test_a_blip_costs_one_round() -> None:
    """Sixteen creations that fail within a blip count as one failure: the next try is due a tenth of a second later, and
    its success fills the pool at once."""
    rig = Rig(1, 16).serving()
    begun = without_logs(rig.do(tick(queued=100, running=1, arrived=101), 0.1))
    assert len(begun) == 15
    for action in begun:
        assert isinstance(action, act.StartWorker)
        rig.fail(action.seat, after=0.02)
    assert rig.view.failing_creations == 1
    before = rig.now
    (again,) = rig.wake()
    assert isinstance(again, act.StartWorker)
    assert rig.now - before <= 0.1
    assert len(without_logs(rig.ready(again.seat))) == 14


def test_nothing_starts_while_another_starts() -> None:
    """While one of the first workers still starts, a failure of the other waits for it."""
    rig = Rig(2, 2)
    rig.do(ev.Started())
    rig.fail(seat(1))
    assert rig.supervisor.wakeup(rig.now) is None
    assert rig.do(ev.Wakeup(), 50.0) == []
    assert without_logs(rig.fail(seat(2))) == []
    assert rig.wake() == [start(1, 3)]


def test_scaling_while_creation_fails_starts_no_worker() -> None:
    """While creation fails, a backlog raises the target, and no worker is started for it before the next try is due."""
    rig = failing(1, 8)
    assert without_logs(rig.do(tick(queued=100))) == []
    assert rig.view.target == 8


def test_failing_burst_worker() -> None:
    """A burst worker that can't be made is tried again like a base worker, one at a time."""
    rig = Rig(1, 4).serving()
    assert without_logs(rig.do(tick(queued=3))) == [start(2), start(3)]
    rig.fail(seat(2))
    rig.fail(seat(3))
    assert rig.wake() == [start(2, 4)]
    assert without_logs(rig.ready(seat(2, 4))) == [start(3, 5)]


def test_nothing_missing_while_failing() -> None:
    """Where creation failed but nothing is missing any more, no wakeup is wanted
    that would do nothing."""
    rig = Rig(2, 4).serving()
    rig.do(ev.Resized(3, 4))
    rig.fail(seat(3))
    rig.do(ev.Resized(2, 2))
    rig.do(ev.Wakeup(), 60.0)
    moment = rig.supervisor.wakeup(rig.now)
    assert moment is None or moment > rig.now


def test_scaling_goes_on_after_the_failing_worker_is_not_wanted_any_more() -> None:
    """A failed creation that need not be repeated does not end scaling for ever."""
    rig = Rig(2, 4).serving()
    rig.do(ev.Resized(3, 4))
    rig.fail(seat(3))
    rig.do(ev.Resized(2, 2))
    rig.do(ev.Resized(2, 4), 60.0)
    started: list[act.Action] = []
    for _ in range(5):
        started += without_logs(rig.do(tick(queued=50, running=2), 1.0))
    assert started


@pytest.mark.parametrize("error", ["no route", None])
def test_ready_timeout(error: str | None) -> None:
    """When no worker was ready for ready_timeout seconds, tasks that waited as
    long fail, with the error if there is one."""
    rig = Rig(1, 1, ready_timeout=10.0)
    rig.do(ev.Started())
    if error:
        rig.fail(seat(1))
        rig.wake()
    text = error or "no worker was ready within ready_timeout=10.0 seconds"
    assert rig.do(ev.Wakeup(), 9.0 - rig.now) == []
    assert rig.do(ev.Wakeup(), 1.0) == [act.FailQueued(text, before=0.0)]
    assert rig.do(ev.Wakeup(), 2.5) == [act.FailQueued(text, before=2.5)]


def test_ready_timeout_wakes_in_time() -> None:
    """It wants to be woken at the timeout, and then several times within it, but not at once."""
    rig = Rig(1, 1, ready_timeout=8.0)
    rig.do(ev.Started())
    assert rig.supervisor.wakeup(rig.now) == 8.0
    rig.wake()
    assert rig.supervisor.wakeup(8.0) == 9.0
    short = Rig(1, 1, ready_timeout=0.8)
    short.do(ev.Started())
    short.wake()
    assert short.supervisor.wakeup(0.8) == pytest.approx(0.9)


def test_ready_timeout_counts_from_the_last_ready_worker() -> None:
    """The clock starts when the last ready worker is gone, and stops when one is ready."""
    rig = Rig(1, 1, ready_timeout=10.0).serving()
    assert rig.supervisor.wakeup(rig.now) is None
    rig.now = 100.0
    rig.do(ev.WorkerDied(seat(1), "boom"))
    assert rig.supervisor.wakeup(rig.now) == 110.0
    assert rig.do(ev.Wakeup(), 9.9) == []
    rig.ready(seat(1, 2))
    assert rig.do(ev.Wakeup(), 50.0) == []


def test_ready_timeout_while_one_serves() -> None:
    """As long as one worker is ready, no task fails for the creation of others."""
    rig = Rig(2, 2, ready_timeout=1.0)
    rig.do(ev.Started())
    rig.ready(seat(1))
    rig.fail(seat(2))
    assert without_logs(rig.do(ev.Wakeup(), 60.0)) == [start(2, 3)]


def test_creation_fails_while_draining() -> None:
    """After a stop, tasks that only a new worker could run fail with the fifth failed creation in a row."""
    rig = Rig(1, 1).serving()
    rig.do(ev.StopRequested("bye"))
    rig.unhealthy(seat(1))
    rig.ended(seat(1))
    for generation in range(2, 6):
        assert without_logs(rig.fail(seat(1, generation))) == []
        assert rig.wake() == [start(1, generation + 1)]
    actions = rig.fail(seat(1, 6))
    assert (levels(actions), without_logs(actions)) == (["warning"], [act.FailQueued("no route")])


def test_creation_fails_while_draining_and_others_serve() -> None:
    """After a stop, a failed creation fails no task while another worker serves the queue."""
    rig = Rig(2, 2).serving()
    rig.do(ev.StopRequested("bye"))
    rig.unhealthy(seat(1))
    rig.ended(seat(1))
    assert without_logs(rig.fail(seat(1, 3))) == []


def test_late_failure() -> None:
    """A failed creation of a worker that is not known any more is not counted."""
    rig = Rig(1, 1).serving()
    assert rig.fail(seat(1, 7)) == []
    assert rig.view.failing_creations == 0
