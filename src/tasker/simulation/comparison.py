"""Several rules on the very same tasks, next to the oracle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import Figures, measured
from .oracle import Bound, lower_bound
from .outcome import Outcome
from .pool import SimulatedPool
from .rules import MAXIMUM, OWN, RULES, Pool
from .workload import Tasks, Workload

FACTOR = 1.3
"""How far from the fixed maximum pool's wait, and from the oracle's worker-seconds, is near enough."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of a workload under each rule."""

    workload: Workload
    pool: Pool
    seed: int
    tasks: int
    work: float
    """Seconds of work in all tasks together."""
    figures: tuple[Figures, ...]
    """Tasker's own rule first."""
    fixed_maximum: Figures
    bound: Bound

    def cost(self, figures: Figures) -> float:
        """Worker-seconds, as a multiple of the oracle's."""
        return figures.worker_seconds / self.bound.worker_seconds if self.bound.worker_seconds else 1.0

    @property
    def allowed_wait(self) -> float:
        """The most that the 99th percentile may be. Where the fixed maximum pool makes hardly anybody wait, nothing
        that ever shrinks can come near it: there, what ``target_wait`` allows counts."""
        return FACTOR * max(self.fixed_maximum.p99, self.pool.target_wait)

    def waits_well(self, figures: Figures) -> bool:
        """Whether the waits are near enough, and every task was served."""
        return figures.p99 <= self.allowed_wait and not figures.failed

    def costs_well(self, figures: Figures) -> bool:
        """Whether the worker-seconds are near enough."""
        return self.cost(figures) <= FACTOR


def compare(
    workload: Workload,
    pool: Pool,
    *,
    rules: Sequence[str] = tuple(RULES),
    seed: int = 0,
    progress: Callable[[str], None] = lambda title: None,
) -> Comparison:
    """Runs each rule. The fixed maximum pool always is, since the oracle needs its waits. ``progress`` is told what
    comes next."""
    tasks = workload.draw(seed)
    progress(RULES[MAXIMUM].title)
    fixed = simulate(MAXIMUM, workload, tasks, pool, seed)
    progress("the oracle")
    bound = lower_bound(
        tasks,
        fixed.waits,
        base=pool.worker_count,
        duration=workload.duration,
        target_wait=pool.target_wait,
        creation=workload.creation,
    )
    fixed_figures = measured(fixed, workload.duration, pool.target_wait)
    figures = []
    for name in dict.fromkeys((OWN, *rules)):
        if name == MAXIMUM:
            figures.append(fixed_figures)
            continue
        progress(RULES[name].title)
        outcome = simulate(name, workload, tasks, pool, seed)
        figures.append(measured(outcome, workload.duration, pool.target_wait))
    return Comparison(workload, pool, seed, len(tasks), tasks.work, tuple(figures), fixed_figures, bound)


def simulate(rule: str, workload: Workload, tasks: Tasks, pool: Pool, seed: int = 0, ahead: float = 0.0) -> Outcome:
    """Runs one rule on drawn tasks. ``ahead``: see ``SimulatedPool``."""
    return SimulatedPool(
        RULES[rule].plan(pool),
        tasks,
        workload.duration,
        creation=workload.creation,
        interval=pool.burst_interval,
        seed=seed,
        rule=rule,
        ahead=ahead,
    ).run()
