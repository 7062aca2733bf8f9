"""The comparison of several rules on a closed loop. There is no oracle for it: when a task arrives depends on the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .comparison import FACTOR
from .feedback import ClosedLoop, run_closed_loop
from .figures import Figures, figures_of
from .rules import OWN, RULES, PoolOptions

ENOUGH = 0.9
"""The share of the best rule's throughput that is good enough."""


@dataclass(frozen=True, slots=True)
class LoopComparison:
    """The figures of a closed loop under each rule. All times are in seconds."""

    load: ClosedLoop
    pool: PoolOptions
    seed: int
    figures: tuple[Figures, ...]
    """Tasker's own rule first."""

    def rate(self, figures: Figures) -> float:
        """Returns the tasks that were done in a second."""
        return figures.served / self.load.duration

    def does_enough(self, figures: Figures) -> bool:
        """Returns whether about as much was done as under the best of these rules."""
        return figures.served >= ENOUGH * max(other.served for other in self.figures)

    def cost(self, figures: Figures) -> float:
        """Returns the worker-seconds as a multiple of those of the cheapest rule that does enough."""
        least = min(other.worker_seconds for other in self.figures if self.does_enough(other))
        return figures.worker_seconds / least if least else 1.0

    def costs_well(self, figures: Figures) -> bool:
        """Returns whether the worker-seconds are good enough."""
        return self.cost(figures) <= FACTOR


def compare_loops(
    load: ClosedLoop,
    pool: PoolOptions,
    *,
    rules: Sequence[str] = tuple(RULES),
    seed: int = 0,
    progress: Callable[[str], None] = lambda title: None,
) -> LoopComparison:
    """Runs each rule on the same clients; tasker's own rule always comes first. ``progress`` is called with the title of
    each run before it begins."""
    figures = []
    for name in dict.fromkeys((OWN, *rules)):
        progress(RULES[name].title)
        outcome = run_closed_loop(RULES[name].plan(pool), load, interval=pool.burst_interval, seed=seed, rule=name)
        figures.append(figures_of(outcome, load.duration, pool.target_wait))
    return LoopComparison(load, pool, seed, tuple(figures))
