"""idle_timeout bounds how long workers beyond the base are kept, whatever the policy says."""

from __future__ import annotations

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.events import Load
from tasker.control.idleness import Idleness
from tasker.control.scaling import Decision, Snapshot
from unit.control.rig import Rig, seat, tick, without_logs
from unit.control.test_supervisor_scaling import Pool


class Wanting:
    """A policy that wants a number, whatever the load, and may say what that needs."""

    def __init__(self, target: int, need: int | None = None) -> None:
        self.decision = Decision(target, "so", need)

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """The number."""
        return self.decision


def test_without_a_timeout_there_is_no_limit() -> None:
    """Nothing is remembered either."""
    idleness = Idleness(None)
    idleness.sample(0.0, Load(5, 5, 10, 0))
    idleness.note(0.0, 5)
    assert idleness.most(0.0) is None


def test_the_most_in_use_within_the_timeout() -> None:
    """A smaller number counts once the greater one is too long ago."""
    idleness = Idleness(10.0)
    assert idleness.most(0.0) == 0
    idleness.sample(0.0, Load(2, 3, 5, 0))
    idleness.sample(1.0, Load(0, 1, 5, 4))
    idleness.sample(2.0, Load(0, 2, 6, 4))
    assert idleness.most(9.9) == 5
    assert idleness.most(10.0) == 2
    assert idleness.most(12.0) == 0


def test_what_ends_between_two_ticks() -> None:
    """Short tasks are seen by the totals, and use one worker at least."""
    idleness = Idleness(10.0)
    idleness.sample(0.0, Load(0, 0, 1, 1))
    assert idleness.most(5.0) == 1
    idleness.sample(6.0, Load(0, 0, 1, 1))
    assert idleness.most(9.9) == 1
    assert idleness.most(10.0) == 0
    idleness.sample(11.0, Load(0, 0, 2, 1))
    assert idleness.most(11.0) == 1


def test_what_was_made_is_not_idle_yet() -> None:
    """A worker that is made before it is needed has its own time."""
    idleness = Idleness(10.0)
    idleness.sample(0.0, Load(0, 1, 1, 0))
    idleness.note(8.0, 4)
    assert idleness.most(17.9) == 4
    assert idleness.most(18.0) == 0


def test_a_policy_that_keeps_them_is_overruled() -> None:
    """Workers beyond the base that were not used for so long go, the base stays, and the reason is given."""
    rig = Rig(2, 8, policy=Wanting(5), idle_timeout=10.0).serving().grown(5)
    assert without_logs(rig.do(tick(running=3), 5.0)) == []
    assert without_logs(rig.do(tick(running=0), 5.0)) == [act.Retire(2)]
    assert rig.view.latest.why.startswith("more than 3 were not used for 10.0 s, the idle_timeout; ")
    for slot in (4, 5):
        rig.do(ev.WorkerRetiring(seat(slot)))
    assert rig.view.target == 3
    assert without_logs(rig.do(tick(running=0), 5.0)) == [act.Retire(1)]
    assert rig.view.target == 2, "the base"


def test_a_manager_that_does_not_scale() -> None:
    """Workers that were not used for so long go, and none is added; its policy is not asked. Nothing goes in a pause."""
    rig = Rig(1, 8, policy=Wanting(3), idle_timeout=10.0).serving().grown(3)
    resting = ev.Tick(Load(queued=0, running=0, arrived=0, ended=0), scales=False)
    assert without_logs(rig.do(ev.Tick(Load(5, 2, 7, 0), scales=False), 5.0)) == []
    assert without_logs(rig.do(resting, 9.0)) == []
    assert without_logs(rig.do(ev.PauseRequested())) == [act.HoldTasks()]
    assert without_logs(rig.do(resting, 1.0)) == []
    rig.do(ev.ResumeRequested())
    assert without_logs(rig.do(resting)) == [act.Retire(2)]
    assert (
        rig.view.decisions[-1].why == "more than 1 were not used for 10.0 s, the idle_timeout; the policy is not asked"
    )
    assert rig.view.target == 1
    rig.do(ev.StopRequested("bye"))
    rig.do(ev.Drained())
    assert without_logs(rig.do(resting, 100.0)) == []


def test_the_default_policy_lets_go_sooner() -> None:
    """It holds workers for longer than this only if it thinks that worth it; no longer than this with the option."""

    def last_of(idle_timeout: float | None) -> int:
        pool = Pool(Rig(1, 8, idle_timeout=idle_timeout), seconds=2.0)
        pool.rig.serving()
        for _ in range(3):
            pool.tick(arrivals=8)
        for _ in range(400):
            pool.tick()
        return next(number for number, size in enumerate(pool.sizes) if number > 50 and size == 1)

    without, with_it = last_of(None), last_of(1.0)
    assert with_it < without


def test_a_load_that_is_there_keeps_what_it_needs() -> None:
    """As long as tasks come, what the policy computes as the need is kept, though fewer ran at the moments of the ticks."""
    rig = Rig(1, 8, policy=Wanting(4, need=3), idle_timeout=1.0).serving().grown(4)
    arrived = 10
    for _ in range(20):
        arrived += 1
        rig.do(tick(running=0, arrived=arrived, ended=arrived), 0.1)
    assert rig.view.target == 3
    for _ in range(12):
        rig.do(tick(running=0, arrived=arrived, ended=arrived), 0.1)
    assert rig.view.target == 1, "no task came for a second"
