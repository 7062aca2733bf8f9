"""The comparison of several rules on the same tasks, with the oracle's bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .figures import Figures, figures_of
from .oracle import LowerBound, lower_bound
from .outcome import Outcome
from .pool import SimulatedPool
from .rules import MAXIMUM, OWN, RULES, PoolOptions
from .workload import Tasks, Workload

FACTOR = 1.3
"""The largest factor over the waits of the fixed maximum pool, and over the worker-seconds of the oracle, that is good
enough."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of a workload under each rule. All times are in seconds."""

    workload: Workload
    pool: PoolOptions
    seed: int
    tasks: int
    work: float
    """The sum of all service times."""
    figures: tuple[Figures, ...]
    """Tasker's own rule first."""
    fixed_maximum: Figures
    bound: LowerBound

    def cost(self, figures: Figures) -> float:
        """Returns the worker-seconds as a multiple of the oracle's."""
        return figures.worker_seconds / self.bound.worker_seconds if self.bound.worker_seconds else 1.0

    @property
    def allowed_wait(self) -> float:
        """The largest 99th percentile of the waits that is good enough."""
        # If almost no task waits in the fixed maximum pool, no pool that ever shrinks can come near it: then the
        # target counts.
        return FACTOR * max(self.fixed_maximum.p99, self.pool.target_wait)

    def waits_well(self, figures: Figures) -> bool:
        """Returns whether the waits are good enough and every task was served."""
        return figures.p99 <= self.allowed_wait and not figures.failed

    def mostly_late(self, figures: Figures) -> bool:
        """Returns whether most tasks waited longer than the target, as they may even in the fixed maximum pool."""
        return figures.late > 0.5

    def costs_well(self, figures: Figures) -> bool:
        """Returns whether the worker-seconds are good enough."""
        return self.cost(figures) <= FACTOR


def compare(
    workload: Workload,
    pool: PoolOptions,
    *,
    rules: Sequence[str] = tuple(RULES),
    seed: int = 0,
    progress: Callable[[str], None] = lambda title: None,
) -> Comparison:
    """Runs each rule on the same tasks; tasker's own rule always comes first. ``progress`` is called with the title of
    each run before it begins."""
    tasks = workload.draw(seed)
    # In any case, because the oracle needs its waits.
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
    fixed_figures = figures_of(fixed, workload.duration, pool.target_wait)
    figures = []
    for name in dict.fromkeys((OWN, *rules)):
        if name == MAXIMUM:
            figures.append(fixed_figures)
            continue
        progress(RULES[name].title)
        outcome = simulate(name, workload, tasks, pool, seed)
        figures.append(figures_of(outcome, workload.duration, pool.target_wait))
    return Comparison(workload, pool, seed, len(tasks), tasks.work, tuple(figures), fixed_figures, bound)


def simulate(
    rule: str, workload: Workload, tasks: Tasks, pool: PoolOptions, seed: int = 0, warm_up: float = 0.0
) -> Outcome:
    """Runs one rule on the tasks; for ``warm_up``, see ``SimulatedPool``."""
    return SimulatedPool(
        RULES[rule].plan(pool),
        tasks,
        workload.duration,
        creation=workload.creation,
        interval=pool.burst_interval,
        seed=seed,
        rule=rule,
        warm_up=warm_up,
    ).run()
