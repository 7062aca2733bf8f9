"""The supervisor scales: up within two ticks, down after calm, and never for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.scaling import Decision, RatePolicy, Snapshot, Window
from unit.control.rig import Rig, seat, start, tick, without_logs

INTERVAL = 0.1


@dataclass
class Pool:
    """A pool that works: tasks of `seconds` each, on the rig's workers, tick by tick."""

    rig: Rig
    seconds: float
    queued: int = 0
    arrived: int = 0
    ended: int = 0
    busy: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def tick(self, arrivals: int = 0) -> None:
        """One interval: tasks arrive, end and start; then the supervisor is asked."""
        rig = self.rig
        rig.now += INTERVAL
        self.queued += arrivals
        self.arrived += arrivals
        still = [end for end in self.busy if end > rig.now + 1e-9]
        self.ended += len(self.busy) - len(still)
        self.busy = still
        while self.queued and len(self.busy) < rig.view.ready:
            if self.seconds < INTERVAL:
                done = min(self.queued, round(INTERVAL / self.seconds) * rig.view.ready)
                self.queued -= done
                self.ended += done
                break
            self.queued -= 1
            self.busy.append(rig.now + self.seconds)
        for action in rig.do(tick(self.queued, len(self.busy), self.arrived, self.ended)):
            self._carry_out(action)
        self.sizes.append(rig.view.ready)

    def _carry_out(self, action: act.Action) -> None:
        if isinstance(action, act.StartWorker):
            self.rig.ready(action.seat)
        elif isinstance(action, act.Retire):
            idle = list(self.rig.supervisor.table.states)[len(self.busy) :]
            for gone in idle[-action.count :]:
                self.rig.do(ev.WorkerRetiring(gone))
                self.rig.ended(gone)


def test_maximum_at_the_first_tick() -> None:
    """A backlog of long tasks that needs the maximum gets it at the first tick; the
    log says why."""
    rig = Rig(2, 6).serving()
    said = "scaling from %d to %d workers: %s"
    why = "100 wait, 2 run, none was completed lately"
    assert rig.do(tick(queued=100, running=2, arrived=102)) == [
        act.Log("info", said, (2, 6, why)),
        start(3),
        start(4),
        start(5),
        start(6),
    ]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 5.0])
def test_maximum_within_two_ticks(seconds: float) -> None:
    """After a calm history, a backlog that needs the maximum has it within two ticks."""
    pool = Pool(Rig(2, 8).serving(), seconds)
    for number in range(120):
        pool.tick(arrivals=number % 60 == 0)
    assert pool.sizes[-1] == 2
    pool.tick(arrivals=200)
    pool.tick()
    assert pool.sizes[-1] == 8


def test_one_long_task() -> None:
    """One task that runs for a minute never starts a second worker."""
    pool = Pool(Rig(1, 16).serving(), 60.0)
    pool.tick(arrivals=1)
    for _ in range(590):
        pool.tick()
    assert set(pool.sizes) == {1}


def test_as_many_long_tasks_as_workers() -> None:
    """Where every task has its worker, nothing grows."""
    pool = Pool(Rig(4, 16).serving(), 3.0)
    pool.tick(arrivals=4)
    for _ in range(25):
        pool.tick()
    assert set(pool.sizes) == {4}


def test_fast_tasks_that_base_workers_keep_up_with() -> None:
    """A steady stream that the base workers keep up with does not grow the pool."""
    pool = Pool(Rig(2, 8).serving(), 0.01)
    for _ in range(100):
        pool.tick(arrivals=15)
    assert set(pool.sizes) == {2}


def test_back_at_base_after_calm() -> None:
    """Soon after the load is over, the pool is back at its base workers, and stays there."""
    pool = Pool(Rig(2, 8).serving(), 0.5)
    pool.tick(arrivals=60)
    while pool.ended < 60:
        pool.tick()
    assert max(pool.sizes) == 8
    for _ in range(21):
        pool.tick()
    assert pool.sizes[-1] == 2
    assert pool.rig.view.target == 2


def test_shrinks_in_steps_of_what_was_in_use() -> None:
    """The pool shrinks to the most that was needed in the last second, and retires exactly the surplus."""
    rig = Rig(2, 8).serving().grown(8)
    assert without_logs(rig.do(tick(running=5), 0.1)) == []
    assert without_logs(rig.do(tick(running=3), 0.8)) == []
    assert without_logs(rig.do(tick(running=3), 0.1)) == [act.Retire(3)]
    assert rig.view.target == 5
    assert without_logs(rig.do(tick(running=3), 0.05)) == []
    assert without_logs(rig.do(tick(running=3), 0.1)) == [act.Retire(2)]


def test_a_wave_does_not_flap() -> None:
    """A load that comes and goes faster than the calm time keeps its workers: no start, no end."""
    pool = Pool(Rig(2, 8).serving(), 0.3)
    for _ in range(20):
        pool.tick(arrivals=16)
        for _ in range(8):
            pool.tick()
    settled = pool.sizes[20:]
    assert len(set(settled)) == 1
    assert settled[0] > 2


def test_retiring_workers() -> None:
    """A worker that took its Retire and ended needs nothing more."""
    rig = Rig(2, 4).serving().grown(3)
    rig.do(tick(), 0.1)
    assert without_logs(rig.do(tick(), 1.0)) == [act.Retire(1)]
    assert rig.do(ev.WorkerRetiring(seat(2))) == []
    assert (rig.view.ready, rig.view.ending) == (2, 1)
    assert rig.ended(seat(2)) == []


def test_growing_again_before_any_worker_retired() -> None:
    """Growing while workers are due to retire starts others in their stead, within the maximum."""
    rig = Rig(1, 4).serving().grown(2)
    rig.do(tick(), 0.1)
    assert without_logs(rig.do(tick(), 1.0)) == [act.Retire(1)]
    assert without_logs(rig.do(tick(queued=4, running=2), 0.1)) == [start(3), start(4)]
    rig.do(ev.WorkerRetiring(seat(1)))
    assert rig.ended(seat(1)) == [start(1, 5)]


def test_unhealthy_in_the_middle_of_shrinking() -> None:
    """A worker that fails while another is due to retire is replaced, so that the base remains."""
    rig = Rig(2, 4).serving().grown(3)
    rig.do(tick(), 0.1)
    rig.do(tick(), 1.0)
    assert rig.unhealthy(seat(1)) == [act.Requeue("t"), start(4)]


def test_surplus_before_refill() -> None:
    """A surplus is retired first; the pool's refill follows with the next event."""
    rig = Rig(1, 4).serving().grown(3)
    rig.do(ev.PoolResourceLost())
    rig.do(ev.PoolRefillFailed("no route"))
    rig.do(tick(), 0.1)
    assert without_logs(rig.do(ev.Resized(1, 2), 5.0))[:1] == [act.Retire(1)]
    assert rig.do(ev.Wakeup()) in ([act.RefillPool()], [])


def test_scaling_off() -> None:
    """Without scaling, ticks decide nothing, however much waits."""
    rig = Rig(1, 4, scales=False).serving()
    assert rig.do(tick(queued=1000)) == []
    assert rig.do(ev.AllBlocked(1)) == []


def test_scales_while_draining() -> None:
    """After a stop the backlog still scales the pool."""
    rig = Rig(1, 3).serving()
    rig.do(ev.StopRequested("bye"))
    assert without_logs(rig.do(tick(queued=50))) == [start(2), start(3)]


class Extreme:
    """A policy that wants a fixed number and remembers what it was asked."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.asked: list[Snapshot] = []

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """The fixed number."""
        self.asked.append(snapshot)
        return Decision(self.target, "so")


@pytest.mark.parametrize(("wanted", "target"), [(1000, 6), (4, 4), (0, 2), (-5, 2)])
def test_policy_is_held_within_the_bounds(wanted: int, target: int) -> None:
    """For each answer of a policy, the target stays within worker_count and max_worker_count."""
    rig = Rig(2, 6, policy=Extreme(wanted)).serving()
    rig.do(tick())
    assert rig.view.target == target


def test_what_a_policy_sees() -> None:
    """A policy sees bounds, workers, load, windows, what was needed, and how long a creation takes."""
    policy = Extreme(3)
    rig = Rig(2, 6, policy=policy, target_wait=0.25)
    for action in rig.do(ev.Started()):
        assert isinstance(action, act.StartWorker)
        rig.now += 0.2
        rig.ready(action.seat)
    rig.do(tick(0, 1, 10, 8), 0.1)
    rig.do(ev.Tick(ev.Load(3, 2, 20, 16, oldest_wait=0.2)), 0.5)
    first, second = policy.asked
    assert (first.worker_count, first.max_worker_count, first.workers) == (2, 6, 2)
    assert (first.ready, first.starting, first.peaks) == (2, 0, ())
    assert (second.ready, second.starting, second.workers) == (2, 1, 3)
    assert (second.queued, second.running, second.oldest_wait, second.target_wait) == (3, 2, 0.2, 0.25)
    assert second.recent == second.usual == Window(20.0, 16.0, pytest.approx(1.0), 1.0)
    assert second.creation_time == pytest.approx(0.7 * 0.2 + 0.3 * 0.4)
    assert second.peaks == ((0.5, 3),)
    assert (second.useful, second.useful_why) == (None, "")


def test_workers_that_retire_are_not_counted() -> None:
    """A policy does not see workers that have to go, whether they are ready or start."""
    policy = Extreme(6)
    rig = Rig(2, 6, policy=policy).serving()
    starts = rig.do(tick(), 0.1)
    policy.target = 3
    rig.do(tick(), 0.1)
    rig.do(tick(), 0.1)
    assert len(without_logs(starts)) == 4
    assert (policy.asked[-1].ready, policy.asked[-1].starting) == (2, 1)


def test_a_limit_of_usefulness_is_reported() -> None:
    """A pool whose throughput does not grow with its workers steps back, says why, and shows the policy where."""
    rig = Rig(2, 8).serving()
    ended = 0
    actions: list[act.Action] = []
    for _ in range(40):
        ended += 600
        actions = rig.do(tick(10_000, rig.view.ready, 20_000, ended), 0.1)
        for action in actions:
            if isinstance(action, act.StartWorker):
                rig.ready(action.seat)
        if any(isinstance(action, act.Retire) for action in actions):
            break
    log, retire = actions
    assert isinstance(log, act.Log)
    assert retire == act.Retire(4)
    assert "more workers do not help: 8 completed 6000.0/s, 2 had done 6000.0/s; " in log.message % log.args
    assert rig.view.snapshot.useful == 4


def decided(rig: Rig) -> list[tuple[str, int, int]]:
    """Cause, before and target of every decision so far."""
    return [(one.cause, one.before, one.target) for one in rig.view.decisions]


def test_every_change_of_the_target_is_remembered() -> None:
    """Start, policy, blocked workers, resize and stop: each with its reason; only the policy's have a snapshot."""
    rig = Rig(2, 8).serving().grown(3)
    rig.do(ev.AllBlocked(3))
    rig.do(ev.Resized(2, 3))
    rig.do(ev.Resized(2, 3))
    rig.do(ev.StopRequested("the end"))
    rig.do(ev.Drained())
    assert decided(rig) == [
        ("start", 0, 2),
        ("policy", 2, 3),
        ("blocked", 3, 4),
        ("resize", 4, 3),
        ("stop", 3, 0),
    ]
    assert [one.why for one in rig.view.decisions] == [
        "2 base workers",
        "3 wait, 0 run, none was completed lately",
        "all 3 workers run tasks that wait for other tasks",
        "resized to 2 base workers and at most 3",
        "every task has its outcome",
    ]
    with_inputs = [one for one in rig.view.decisions if one.snapshot is not None]
    assert [(one.cause, one.snapshot.queued) for one in with_inputs] == [("policy", 3)]
    assert rig.view.target == 0


def test_a_kill_is_remembered() -> None:
    """A kill wants no worker any more, and says why it came; after it nothing more is decided."""
    rig = Rig(2, 4).serving()
    rig.do(ev.KillRequested("kill() was called", 30.0))
    rig.do(ev.Resized(3, 5))
    rig.do(ev.AllBlocked(2))
    rig.do(tick(queued=5), 0.1)
    assert decided(rig) == [("start", 0, 2), ("kill", 2, 0)]
    assert rig.view.decisions[-1].why == "kill() was called"


def test_each_change_is_logged_once() -> None:
    """At INFO, when it happens; not at each tick."""
    rig = Rig(2, 8).serving()
    logs = [one for _ in range(5) for one in rig.do(tick(queued=3, running=2, arrived=5), 0.01)]
    assert [one.level for one in logs if isinstance(one, act.Log)] == ["info"]


def test_what_the_policy_said_last() -> None:
    """The latest answer is there even where it changed nothing, with what it was given for."""
    rig = Rig(2, 8).serving()
    assert (rig.view.latest, rig.view.snapshot) == (None, None)
    rig.do(tick(running=1), 0.1)
    assert rig.view.latest.why == "nothing waits, 1 run, none was completed lately"
    assert rig.view.snapshot.running == 1


def test_dropped_creations() -> None:
    """What could not be started while creation failed, and is not needed any more, is not started afterwards."""
    rig = Rig(1, 8).serving()
    for action in without_logs(rig.do(tick(queued=7, running=1, arrived=8), 0.1)):
        assert isinstance(action, act.StartWorker)
        rig.fail(action.seat)
    assert rig.view.target == 8
    rig.do(tick(running=1, arrived=8, ended=7), 0.01)
    assert rig.view.target == 1
    assert "7 more are no longer needed" in rig.view.decisions[-1].why
    assert rig.supervisor.wakeup(rig.now) is None


def test_default_policy() -> None:
    """The default policy is the RatePolicy."""
    assert Rig().plan.policy == RatePolicy()


def test_a_trial_that_was_in_vain_changes_nothing() -> None:
    """If fewer workers complete less, all of them are back when the trial is over, although the policy would not have asked
    for them: the tasks of clients that wait for their answers hardly wait."""
    policy = Extreme(8)
    rig = Rig(2, 8, policy=policy).serving().grown(8)
    trials = rig.supervisor._scaler._trials
    trials._limit, trials._probing, trials._until = 4, True, rig.now + 1.0
    rig.supervisor._scaler._before = 8
    policy.target = 4
    assert without_logs(rig.do(tick(running=4), 0.1)) == [act.Park(4)]
    for slot in (5, 6, 7, 8):
        rig.do(ev.WorkerParked(seat(slot)))
    assert without_logs(rig.do(tick(queued=4, running=4), 2.0)) == [act.Park(0)], "no worker is made"
    assert rig.view.decisions[-1].why == "fewer workers complete less, so all are back; so"


def test_a_trial_remembers_what_it_took_away() -> None:
    """When a trial of fewer workers begins, the number of workers before it is remembered."""
    rig = Rig(2, 8).serving().grown(8)
    ended, actions = 0, []
    while not actions:
        ended += 60
        actions = without_logs(rig.do(tick(100_000, 8, 200_000, ended), 0.1))
    assert actions == [act.Park(4)]
    assert "it is tried whether fewer do" in rig.view.decisions[-1].why
    assert rig.supervisor._scaler._before == 8


def test_a_ceiling_by_memory() -> None:
    """While more of the memory is in use than max_memory, the pool does not grow, and says why; it shrinks, and keeps its
    base. Without max_memory, or where the memory is not known, nothing changes."""
    rig = Rig(2, 8, policy=Extreme(5), max_memory=0.8).serving()
    assert rig.do(ev.Tick(ev.Load(0, 0, 0, 0, memory=0.9)), 0.1) == []
    assert rig.view.latest == Decision(2, "90% of the memory is in use, more than max_memory; so", 5)
    assert len(without_logs(rig.do(ev.Tick(ev.Load(0, 0, 0, 0, memory=0.8)), 0.1))) == 3
    free = Rig(2, 8, policy=Extreme(5)).serving()
    assert len(without_logs(free.do(ev.Tick(ev.Load(0, 0, 0, 0, memory=0.9)), 0.1))) == 3
    unknown = Rig(2, 8, policy=Extreme(5), max_memory=0.8).serving()
    assert len(without_logs(unknown.do(tick(), 0.1))) == 3
