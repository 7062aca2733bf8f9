"""The scaling rules that can be simulated: tasker's own policy, and others to compare it with.

The others are policies for the same supervisor, so that only the decision differs: creation, backoff, retiring and the
bounds are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasker.control.scaling import Decision, RatePolicy, ScalingPolicy, Snapshot
from tasker.control.view import Plan

from .rules_kubernetes import HorizontalRule, KnativeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The options of a manager that matter in a simulation; names, units and defaults are those of ``Config``."""

    worker_count: int
    max_worker_count: int
    burst_interval: float = 0.1
    target_wait: float = 0.1
    ready_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A named way to decide the number of workers."""

    name: str
    title: str
    words: str
    plan: Callable[[PoolOptions], Plan]
    """Makes the plan for one run, with a policy of its own, as policies here may keep state."""


class GoRule:
    """The rule of the Go library, from measurements of its behaviour. It compares the rates of arrival and completion
    since the start, so each task in flight is a deficit, and each tick with a deficit adds one worker; none is ever
    removed."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        deficit = snapshot.queued + snapshot.running
        return Decision(snapshot.workers + (deficit > 0), f"{deficit} have arrived that are not completed")


def _plan(pool: PoolOptions, policy: ScalingPolicy) -> Plan:
    return Plan(
        worker_count=pool.worker_count,
        max_worker_count=pool.max_worker_count,
        scales=pool.burst_interval > 0,
        target_wait=pool.target_wait,
        ready_timeout=pool.ready_timeout,
        policy=policy,
    )


def _fixed(count: int, pool: PoolOptions) -> Plan:
    return Plan(worker_count=count, max_worker_count=count, scales=False, ready_timeout=pool.ready_timeout)


OWN = "tasker"
MAXIMUM = "max"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(OWN, "tasker", "the default policy of tasker", lambda pool: _plan(pool, RatePolicy())),
        Rule("base", "fixed at base", "worker_count workers, always", lambda pool: _fixed(pool.worker_count, pool)),
        Rule(
            MAXIMUM,
            "fixed at maximum",
            "max_worker_count workers, always",
            lambda pool: _fixed(pool.max_worker_count, pool),
        ),
        Rule(
            "go",
            "Go library",
            "rates since the start; one worker more at each tick where a task is in flight; never one less",
            lambda pool: _plan(pool, GoRule()),
        ),
        Rule(
            "kpa",
            "KPA-style",
            "Knative's autoscaler: tasks in the pool, averaged over 60 s, or over 6 s in a panic, 0.7 for each worker",
            lambda pool: _plan(pool, KnativeRule()),
        ),
        Rule(
            "hpa",
            "HPA-style",
            "Kubernetes' autoscaler: busy workers to 70%, every 15 s, at most doubled; down to the most of 300 s",
            lambda pool: _plan(pool, HorizontalRule()),
        ),
    )
}
