"""Checks of the idle resources of run_task's pool: which one is next, and what the supervisor makes of one that hangs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.pool_probes import next_probe_at, next_to_probe
from unit.control.rig import Rig, seat, without_logs

INTERVAL = 60.0
TIMEOUT = 5.0
PROBE, GIVE_UP = act.ProbePool(), act.GiveUpPoolProbe()


@dataclass(frozen=True)
class Idle:
    """A resource in the pool."""

    used: float
    cools_until: float = 0.0
    usable: bool = True


def rig(**plan: Any) -> Rig:
    """One worker, which serves, and a pool whose resources are checked."""
    defaults = {"has_pool": True, "probe_interval": INTERVAL, "check_timeout": TIMEOUT}
    return Rig(1, 1, **{**defaults, **plan}).serving()


def probing(**plan: Any) -> Rig:
    """The same, while a resource is checked."""
    pool = rig(**plan)
    assert pool.wake() == [PROBE]
    return pool


def stuck(**plan: Any) -> Rig:
    """The same, when the check was given up."""
    pool = probing(**plan)
    assert pool.wake() == [GIVE_UP]
    assert pool.do(ev.PoolProbeStuck()) == [act.RefillPool()]
    assert pool.do(ev.PoolRefilled()) == []
    return pool


def draining(pool: Rig) -> Rig:
    """A stop, up to the moment in which only the probe is left."""
    pool.do(ev.StopRequested("bye"))
    pool.do(ev.Drained())
    pool.do(ev.PoolClosed())
    pool.do(ev.WorkerRetiring(seat(1)))
    return pool


def test_the_one_that_is_due_longest_is_next() -> None:
    """It counts from its last use, and from the end of a pause that it was given."""
    young, old, oldest = Idle(30.0), Idle(10.0), Idle(0.0)
    assert next_to_probe([young, old, oldest], INTERVAL, 59.9) is None
    assert next_to_probe([young, old, oldest], INTERVAL, 60.0) is oldest
    assert next_to_probe([young, Idle(0.0, cools_until=75.0), old], INTERVAL, 74.0) is old
    assert next_to_probe([], INTERVAL, 1e9) is None


def test_one_that_serves_no_more_is_not_checked() -> None:
    """It is replaced before the next call anyway."""
    worn = Idle(0.0, usable=False)
    assert next_to_probe([worn], INTERVAL, 100.0) is None
    assert next_probe_at([worn], INTERVAL, 100.0) == 160.0


def test_when_the_next_is_due() -> None:
    """What is in use now is not before an interval has passed."""
    assert next_probe_at([], INTERVAL, 100.0) == 160.0
    assert next_probe_at([Idle(90.0), Idle(70.0)], INTERVAL, 100.0) == 130.0
    assert next_probe_at([Idle(70.0, cools_until=140.0)], INTERVAL, 100.0) == 140.0


def test_without_an_interval_nothing_is_planned() -> None:
    """Nor without a pool."""
    assert rig(probe_interval=None).supervisor.wakeup(0.0) is None


def test_one_after_the_other() -> None:
    """The end of one check says when the next begins, at once if another resource is due."""
    pool = probing()
    assert pool.now == INTERVAL
    assert pool.do(ev.Wakeup(), 1.0) == []
    assert pool.do(ev.PoolProbed(60.0)) == [PROBE]
    assert pool.do(ev.PoolProbed(100.0)) == []
    assert pool.supervisor.wakeup(pool.now) == 100.0
    assert pool.supervisor.wakeup(pool.now, probes=False) is None
    assert pool.wake() == [PROBE]


def test_what_is_not_fit_is_made_again() -> None:
    """As any resource that the pool has lost."""
    pool = probing()
    assert pool.do(ev.PoolResourceLost()) == [act.RefillPool()]
    assert pool.do(ev.PoolProbed(200.0)) == []
    assert pool.do(ev.PoolRefilled()) == []


def test_one_that_hangs_is_given_up_once() -> None:
    """The pool gets another resource, and no other check begins until this one has ended."""
    pool = stuck()
    assert pool.do(ev.Wakeup(), 1000.0) == []
    assert pool.supervisor.wakeup(pool.now) is None
    assert pool.do(ev.PoolProbed(0.0)) == [PROBE]


def test_one_that_ends_as_it_is_given_up() -> None:
    """It has ended."""
    pool = probing()
    assert pool.wake() == [GIVE_UP]
    assert pool.supervisor.wakeup(pool.now) is None
    assert pool.do(ev.PoolProbed(200.0)) == []
    assert pool.wake() == [PROBE]


def test_no_limit() -> None:
    """Without check_timeout it lasts as long as it lasts."""
    pool = probing(check_timeout=None)
    assert pool.supervisor.wakeup(pool.now) is None


def test_a_pause_changes_nothing() -> None:
    """What is idle for long is what has to be looked at."""
    pool = rig()
    pool.do(ev.PauseRequested())
    pool.do(ev.Quiet())
    assert pool.wake() == [PROBE]


def test_the_end_waits_for_a_check() -> None:
    """None begins any more."""
    pool = draining(probing())
    assert without_logs(pool.ended(seat(1))) == []
    assert pool.do(ev.PoolProbed(0.0)) == [act.Finish()]


def test_the_end_waits_for_one_that_hangs_until_its_limit() -> None:
    """And then a moment for what was interrupted."""
    pool = draining(probing())
    assert without_logs(pool.ended(seat(1))) == []
    assert pool.wake() == [GIVE_UP]
    assert pool.now == INTERVAL + TIMEOUT
    assert pool.do(ev.PoolProbeStuck()) == []
    assert pool.wake() == [act.Abandon((), probe=True), act.Finish()]
    assert pool.now == INTERVAL + TIMEOUT + 1.0


def test_one_that_was_interrupted_in_time() -> None:
    """It is not left behind."""
    pool = draining(stuck())
    assert without_logs(pool.ended(seat(1))) == []
    assert pool.do(ev.PoolProbed(0.0)) == [act.Finish()]


def test_one_that_hung_before_the_end() -> None:
    """It is named, and has no more time."""
    pool = stuck()
    assert pool.do(ev.Wakeup(), 100.0) == []
    pool.do(ev.StopRequested("bye"))
    pool.do(ev.Drained())
    assert pool.do(ev.PoolClosed()) == [act.Abandon((), probe=True)]
    pool.do(ev.WorkerRetiring(seat(1)))
    assert without_logs(pool.ended(seat(1))) == [act.Finish()]


def test_the_deadline_of_a_kill() -> None:
    """It is given up with everything else."""
    pool = probing(check_timeout=None)
    pool.do(ev.KillRequested("now", deadline=pool.now + 2.0))
    pool.do(ev.PoolClosed())
    pool.do(ev.Drained())
    pool.do(ev.WorkerRetiring(seat(1)))
    assert pool.ended(seat(1)) == []
    assert pool.do(ev.Wakeup(), 2.0) == [act.Abandon((), probe=True), act.Finish()]
