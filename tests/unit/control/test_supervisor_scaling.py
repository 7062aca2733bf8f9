"""The supervisor scales: up within two ticks, down after calm, and never for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.scaling import Decision, RatePolicy, Snapshot
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
    """The pool shrinks to the most that ran at once in the calm time, and retires
    exactly the surplus."""
    rig = Rig(2, 8).serving().grown(8)
    assert without_logs(rig.do(tick(running=5), 0.1)) == []
    assert without_logs(rig.do(tick(running=3), 0.9)) == []
    assert without_logs(rig.do(tick(running=3), 0.1)) == [act.Retire(3)]
    assert rig.view.target == 5
    assert without_logs(rig.do(tick(running=3), 0.1)) == []
    assert without_logs(rig.do(tick(running=3), 1.0)) == [act.Retire(2)]


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


def test_growing_again_before_anybody_retired() -> None:
    """Growing while workers were told to retire starts others in their stead,
    within the maximum."""
    rig = Rig(1, 4).serving().grown(2)
    rig.do(tick(), 0.1)
    assert without_logs(rig.do(tick(), 1.0)) == [act.Retire(1)]
    assert without_logs(rig.do(tick(queued=4, running=2), 0.1)) == [start(3), start(4)]
    rig.do(ev.WorkerRetiring(seat(1)))
    assert rig.ended(seat(1)) == [start(1, 5)]


def test_unhealthy_in_the_middle_of_shrinking() -> None:
    """A worker that fails while another was told to retire is replaced, so that the
    base remains."""
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
    """Whatever a policy wants, the target stays within worker_count and max_worker_count."""
    rig = Rig(2, 6, policy=Extreme(wanted)).serving()
    rig.do(tick())
    assert rig.view.target == target


def test_what_a_policy_is_told() -> None:
    """A policy sees bounds, load and the rates of the last second."""
    policy = Extreme(2)
    rig = Rig(2, 6, policy=policy).serving()
    rig.do(tick(0, 1, 10, 8), 0.5)
    rig.do(tick(0, 2, 20, 16), 0.5)
    rig.do(tick(3, 2, 25, 20), 0.5)
    first, calm, busy = policy.asked
    assert (first.worker_count, first.max_worker_count, first.workers) == (2, 6, 2)
    assert (first.arrival_rate, first.completion_rate) == (20.0, 16.0)
    assert (calm.calm_since, calm.calm_peak) == (0.5, 2)
    assert (busy.queued, busy.running) == (3, 2)
    assert (busy.arrival_rate, busy.completion_rate) == (15.0, 12.0)
    assert busy.calm_since is None


def test_all_blocked_grows_by_one() -> None:
    """When all workers wait for other tasks, one more is started."""
    rig = Rig(2, 4).serving()
    why = "all 2 workers run tasks that wait for other tasks"
    said = act.Log("info", "scaling from %d to %d workers: %s", (2, 3, why))
    assert rig.do(ev.AllBlocked(2)) == [said, start(3)]


def test_all_blocked_is_out_of_date() -> None:
    """When more workers live than were blocked, or one already starts, nothing grows."""
    rig = Rig(2, 4).serving()
    assert rig.do(ev.AllBlocked(1)) == []
    rig.do(ev.AllBlocked(2))
    assert rig.do(ev.AllBlocked(2)) == []


def test_all_blocked_at_the_maximum() -> None:
    """At the maximum a blocked pool can't grow."""
    rig = Rig(2, 2).serving()
    assert rig.do(ev.AllBlocked(2)) == []


def test_resize_up() -> None:
    """A larger base starts the missing workers at once."""
    rig = Rig(1, 2).serving()
    why = "resized to 3 base workers and at most 6"
    said = act.Log("info", "scaling from %d to %d workers: %s", (1, 3, why))
    assert rig.do(ev.Resized(3, 6)) == [said, start(2), start(3)]
    assert (rig.view.base, rig.view.most, rig.view.limit) == (3, 6, 6)


def test_resize_down() -> None:
    """A smaller maximum retires the surplus; a smaller base alone leaves it to scaling."""
    rig = Rig(4, 8).serving()
    assert rig.do(ev.Resized(2, 8)) == []
    assert without_logs(rig.do(ev.Resized(1, 3))) == [act.Retire(1)]
    assert rig.view.target == 3


@pytest.mark.parametrize(("base", "actions"), [(1, [act.Retire(3)]), (6, [start(5), start(6)])])
def test_resize_without_scaling(base: int, actions: list[Any]) -> None:
    """Without scaling, the pool has exactly its base workers after a resize."""
    rig = Rig(4, 8, scales=False).serving()
    assert without_logs(rig.do(ev.Resized(base, 8))) == actions
    assert rig.view.limit == base


def test_resize_before_the_start() -> None:
    """A resize that comes before the start decides how many workers start."""
    rig = Rig(1, 2)
    assert rig.do(ev.Resized(3, 3)) == []
    assert rig.do(ev.Started()) == [start(1), start(2), start(3)]


def test_resize_to_the_same() -> None:
    """A resize that changes nothing does nothing."""
    assert Rig(2, 4).serving().do(ev.Resized(2, 4)) == []


def test_default_policy() -> None:
    """The default policy is the RatePolicy."""
    assert Rig().plan.policy == RatePolicy()
