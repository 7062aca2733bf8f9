"""What is out of reach: two rules that show how much of the aim a policy without knowledge of the future can't
attain."""

from __future__ import annotations

from dataclasses import dataclass

from tasker.control.scaling import Decision, Snapshot
from tasker.control.view import Plan
from tasker.simulation.comparison import Comparison
from tasker.simulation.figures import Figures, figures_of
from tasker.simulation.pool import SimulatedPool
from tasker.simulation.workload import Tasks

_HOLD = 10.0


class EagerRule:
    """Grows to the maximum as soon as anything waits, and shrinks to the running tasks after 10 s without a wait. No
    rule that begins at the base grows faster."""

    __slots__ = ("_waited_at",)

    def __init__(self) -> None:
        self._waited_at = -_HOLD

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        if snapshot.queued:
            self._waited_at = now
            return Decision(snapshot.max_worker_count, "something waits")
        if now - self._waited_at < _HOLD:
            return Decision(snapshot.workers, "something has waited lately")
        return Decision(max(snapshot.running, snapshot.worker_count), "nothing has waited lately")


@dataclass(frozen=True, slots=True)
class Limits:
    """The results of both rules."""

    eager: Figures
    fixed: int | None
    """The smallest fixed pool whose p99 is good enough; None if not even the maximum's is."""
    fixed_cost: float
    """The worker-seconds of that pool, as a multiple of the oracle's."""


def limits_of(comparison: Comparison, seed: int) -> Limits:
    """Runs both rules on the tasks of a comparison."""
    pool, tasks = comparison.pool, comparison.workload.draw(seed)
    eager = Plan(pool.worker_count, pool.max_worker_count, policy=EagerRule())
    # Bisection: more workers never make the p99 worse.
    low, high = pool.worker_count, pool.max_worker_count + 1
    costs: dict[int, float] = {}
    while low < high:
        count = (low + high) // 2
        figures = _run(comparison, Plan(count, count, scales=False), tasks, seed)
        costs[count] = comparison.cost(figures)
        low, high = (low, count) if comparison.waits_well(figures) else (count + 1, high)
    fixed = low if low <= pool.max_worker_count else None
    return Limits(_run(comparison, eager, tasks, seed), fixed, costs.get(low, 0.0))


def _run(comparison: Comparison, plan: Plan, tasks: Tasks, seed: int) -> Figures:
    load, pool = comparison.workload, comparison.pool
    outcome = SimulatedPool(
        plan, tasks, load.duration, creation=load.creation, interval=pool.burst_interval, seed=seed
    ).run()
    return figures_of(outcome, load.duration, pool.target_wait)
