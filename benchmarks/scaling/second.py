"""The variants of tasker's policy, the rule before it, and other rules in slow and fast variants, on all workloads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.scaling.previous import PreviousPolicy
from benchmarks.scaling.report import table_rows
from benchmarks.scaling.workloads import POOL, Case
from tasker.control.scaling import RatePolicy, ScalingPolicy
from tasker.control.view import Plan
from tasker.simulation.creation import Creation
from tasker.simulation.feedback import ClosedLoop, Contention, run_closed_loop
from tasker.simulation.figures import Figures, figures_of
from tasker.simulation.outcome import Outcome
from tasker.simulation.pool import SimulatedPool
from tasker.simulation.rules_kubernetes import HorizontalRule, KnativeRule
from tasker.simulation.services import Constant, Exponential
from tasker.simulation.words import seconds

SEED = 2
"""Other draws of the workloads than those on which the policy was developed."""

RULES: dict[str, Callable[[], ScalingPolicy]] = {
    "tasker": RatePolicy,
    "half reserve": lambda: RatePolicy(reserve="half"),
    "full reserve": lambda: RatePolicy(reserve="full"),
    "previous rule": PreviousPolicy,
    "KPA-style": KnativeRule,
    "KPA-style, fast": lambda: KnativeRule(stable=6.0, panic=0.6),
    "HPA-style": HorizontalRule,
    "HPA-style, fast": lambda: HorizontalRule(sync=1.0, stabilisation=20.0),
}
VARIANTS = ("tasker", "half reserve", "full reserve")
PREVIOUS = "previous rule"
OTHERS = tuple(name for name in RULES if "style" in name)
_TIE = 1e-3
"""Seconds, and the share of a cost, by which two results may differ and count as equal."""

LOOPS: tuple[tuple[ClosedLoop, int, int], ...] = (
    (
        ClosedLoop(
            name="database",
            words="50 clients, 10 ms exponential; the database does best with 4 connections, and half as well with 32",
            clients=50,
            services=Exponential(0.01),
            duration=300.0,
            contention=Contention(4, 1 / 7),
            creation=Creation(0.1),
        ),
        4,
        32,
    ),
    (
        ClosedLoop(
            name="one processor",
            words="60 clients, 20 ms exponential of pure Python: one at a time",
            clients=60,
            services=Exponential(0.02),
            duration=600.0,
            contention=Contention(1, 0.01),
            creation=Creation(0.2, spread=0.5),
        ),
        1,
        20,
    ),
    (
        ClosedLoop(
            name="no contention",
            words="50 clients, 10 ms exponential, which do not disturb each other",
            clients=50,
            services=Exponential(0.01),
            duration=120.0,
            creation=Creation(0.1),
        ),
        4,
        32,
    ),
    (
        ClosedLoop(
            name="HikariCP's spike",
            words="50 clients at once into a cold pool, 2 ms each, once; a resource takes 150 ms to make",
            clients=50,
            services=Constant(0.002),
            duration=3.0,
            rounds=1,
            creation=Creation(0.15),
        ),
        5,
        50,
    ),
)
_SHIFTS = 11


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of all rules on one workload."""

    case: Case
    figures: dict[str, Figures]

    def dominated_by(self, name: str) -> list[str]:
        """Returns the other rules that are better than this one in p99 or cost, and worse in neither."""
        own = self.figures[name]
        return [
            other
            for other in OTHERS
            if (figures := self.figures[other]).p99 <= own.p99
            and figures.worker_seconds <= own.worker_seconds
            and (figures.p99 < own.p99 - _TIE or figures.worker_seconds < own.worker_seconds * (1 - _TIE))
        ]


@dataclass(frozen=True, slots=True)
class LoopResult:
    """Runs of one policy on one closed loop, whose ticks are shifted against the load."""

    load: ClosedLoop
    rule: str
    outcomes: tuple[Outcome, ...]


def compare(cases: Sequence[Case], scale: float, progress: Callable[[str], None]) -> list[Row]:
    """Runs each rule on each workload."""
    rows = []
    for case in cases:
        load = dataclasses.replace(case.workload, duration=case.workload.duration * scale)
        progress(f"all variants: {load.name}")
        tasks = load.draw(SEED)
        figures = {}
        for name, policy in RULES.items():
            plan = Plan(POOL.worker_count, POOL.max_worker_count, policy=policy(), target_wait=POOL.target_wait)
            outcome = SimulatedPool(
                plan, tasks, load.duration, creation=load.creation, interval=POOL.burst_interval, seed=SEED, rule=name
            ).run()
            figures[name] = figures_of(outcome, load.duration, POOL.target_wait)
        rows.append(Row(case, figures))
    return rows


def compare_loops(scale: float, progress: Callable[[str], None]) -> list[LoopResult]:
    """Runs the closed loops, with the ticks at several places."""
    results = []
    for load, base, most in LOOPS:
        progress(f"closed loop: {load.name}")
        short = dataclasses.replace(load, duration=max(3.0, load.duration * scale))
        shifts = _SHIFTS if load.rounds else 3
        for name in ("tasker", PREVIOUS):
            outcomes = tuple(
                run_closed_loop(
                    Plan(base, most, policy=RULES[name]()), short, seed=number, warm_up=number / (10 * shifts)
                )
                for number in range(shifts)
            )
            results.append(LoopResult(short, name, outcomes))
    return results


def text(rows: Sequence[Row], loops: Sequence[LoopResult], unseen: Sequence[Case]) -> str:
    """Returns the part of the page."""
    names = {case.workload.name for case in unseen}
    return "\n".join(
        [
            _summary(rows),
            _loops(loops),
            "## Bursty workloads\n",
            "On which the rules were not made; every rule runs the same tasks.\n",
            *(_table(row) for row in rows if row.case.workload.name in names),
        ]
    )


def _ratio(rows: Sequence[Row], name: str, value: Callable[[Figures], float]) -> float:
    logs = [math.log(value(row.figures[name]) / value(row.figures[PREVIOUS])) for row in rows]
    return math.exp(math.fsum(logs) / len(logs))


def _summary(rows: Sequence[Row]) -> str:
    table = [["rule", "p99", "cost", "target kept", "worse in both", "dominated by"], ["---", *["---:"] * 4, "---"]]
    for name in (*VARIANTS, PREVIOUS):
        kept = sum(row.figures[name].p99 <= POOL.target_wait for row in rows)
        dominated = [f"{', '.join(by)} ({row.case.workload.name})" for row in rows if (by := row.dominated_by(name))]
        worse = sum(
            row.figures[name].p99 > row.figures[PREVIOUS].p99 + _TIE
            and row.figures[name].worker_seconds > row.figures[PREVIOUS].worker_seconds * (1 + _TIE)
            for row in rows
        )
        table.append(
            [
                name,
                # A millisecond is added, because some waits are 0.
                f"{_ratio(rows, name, lambda one: one.p99 + _TIE):.2f}",
                f"{_ratio(rows, name, lambda one: one.worker_seconds):.2f}",
                f"{kept} of {len(rows)}",
                str(worse),
                "; ".join(dominated) or "none",
            ]
        )
    words = (
        f"The default, both reserves, and the rule before it, on {len(rows)} workloads, all of other draws than those above"
        f" (seed {SEED}): geometric means of p99 and worker-seconds as multiples of the previous rule's; on how many the"
        " p99 is within the target; on how many both are worse than the previous rule's; and which rule of Kubernetes,"
        " with its own windows or ones that are ten (KPA) or fifteen (HPA) times as fast, is better in one of them and"
        " worse in none. The"
        " previous rule runs on the present control plane, so its failed creations and its trials are today's.\n"
    )
    return f"## The default, its reserves and the rule before it\n\n{words}\n" + table_rows(table)


def _loops(loops: Sequence[LoopResult]) -> str:
    table = [["load", "rule", "tasks/s", "made, at most", "workers, on average"], ["---", "---", *["---:"] * 3]]
    for one in loops:
        rate = sum(len(outcome.waits) for outcome in one.outcomes) / len(one.outcomes) / one.load.duration
        workers = sum(outcome.worker_seconds for outcome in one.outcomes) / len(one.outcomes) / one.load.duration
        made = max(outcome.created for outcome in one.outcomes)
        table.append([f"{one.load.name}: {one.load.words}", one.rule, f"{rate:,.0f}", str(made), f"{workers:.1f}"])
    words = (
        "Clients that each wait for their answer, so that the load feels the pool. *Made* includes the base, and is the"
        " most of all runs, whose ticks are shifted against the load.\n"
    )
    return f"## Closed loops\n\n{words}\n" + table_rows(table)


def _table(row: Row) -> str:
    load = row.case.workload
    head = ["rule", "mean", "p99", "max", "late", "workers", "made", "worker-seconds"]
    lines = [
        [
            f"**{name}**" if name == "tasker" else name,
            *map(seconds, (one.mean, one.p99, one.longest)),
            f"{one.late:.1%}",
            str(one.peak_workers),
            f"{one.created:,}",
            f"{one.worker_seconds:,.0f}",
        ]
        for name, one in row.figures.items()
    ]
    title = f"### {load.name[0].upper()}{load.name[1:]}\n\n{load.words[0].upper()}{load.words[1:]}.\n\n"
    return title + table_rows([head, ["---", *["---:"] * 7], *lines])
