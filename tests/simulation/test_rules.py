"""The rules that are compared: each behaves as its original."""

from __future__ import annotations

import pytest

from tasker.control.scaling import Snapshot, Window
from tasker.simulation import arrivals, services
from tasker.simulation.comparison import Comparison, compare
from tasker.simulation.creation import Creation
from tasker.simulation.rules import MAXIMUM, OWN, RULES, GoRule, PoolOptions
from tasker.simulation.rules_kubernetes import HorizontalRule, KnativeRule
from tasker.simulation.workload import Workload


def snapshot(workers: int, queued: int, running: int) -> Snapshot:
    window = Window(arrival_rate=0.0, completion_rate=0.0, running=float(running), seconds=1.0)
    return Snapshot(
        worker_count=2,
        max_worker_count=100,
        workers=workers,
        ready=workers,
        starting=0,
        queued=queued,
        running=running,
        oldest_wait=0.0,
        target_wait=0.1,
        recent=window,
        usual=window,
        creation_time=None,
        peaks=(),
        useful=None,
    )


def test_go_adds_one_worker_a_tick_and_takes_none_away() -> None:
    """One task in flight adds a worker; an idle pool stays as it is."""
    rule = GoRule()
    assert rule.decide(snapshot(4, 0, 1), 1.0).target == 5
    assert rule.decide(snapshot(9, 500, 9), 2.0).target == 10
    assert rule.decide(snapshot(16, 0, 0), 60.0).target == 16


def test_knative_follows_the_average() -> None:
    """Without a panic, the average of a minute decides, with 0.7 tasks for each worker; the pool shrinks at most by
    half."""
    rule = KnativeRule()
    targets = [rule.decide(snapshot(20, 0, 14 if second < 60 else 2), float(second)).target for second in range(180)]
    assert targets[59] == 20
    assert 3 <= targets[-1] <= 10
    assert targets[60:120] == sorted(targets[60:120], reverse=True)


def test_knative_panics() -> None:
    """If tasks for twice the workers arrive within seconds, it grows at once, and shrinks only a minute later."""
    rule = KnativeRule()
    for second in range(60):
        rule.decide(snapshot(4, 0, 2), float(second))
    panicked = [rule.decide(snapshot(4, 40, 4), 60.0 + number).target for number in range(7)]
    assert panicked[-1] == 63
    assert rule.decide(snapshot(63, 0, 0), 68.0).target == 63
    later = [rule.decide(snapshot(63, 0, 0), 69.0 + number).target for number in range(62)]
    assert later[50] == 63
    assert later[-1] < 63


def test_horizontal_steps() -> None:
    """Every 15 s the workers follow the share of busy ones; they are at most doubled, and small differences are
    ignored."""
    rule = HorizontalRule()
    targets = [rule.decide(snapshot(10, 5, 10), float(second)).target for second in range(16)]
    assert targets[:15] == [10] * 15
    assert targets[15] == 15
    assert [HorizontalRule(sync=0.0).decide(snapshot(10, 0, busy), 0.0).target for busy in (7, 10)] == [10, 15]
    assert HorizontalRule(sync=0.0, target=0.1).decide(snapshot(10, 0, 10), 0.0).target == 20


def test_horizontal_shrinks_late() -> None:
    """It shrinks only to the highest result of the last five minutes."""
    rule = HorizontalRule()
    targets = [rule.decide(snapshot(20, 0, 14 if second < 30 else 7), float(second)).target for second in range(400)]
    assert targets[300] == 20
    assert targets[-10] == 10


SQUARE = Workload(
    name="square",
    arrivals=arrivals.square(20, 200, 20),
    services=services.Exponential(0.05),
    duration=60,
    creation=Creation(0.2),
)
POOL = PoolOptions(worker_count=2, max_worker_count=20)


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(SQUARE, POOL, seed=1)


def test_all_rules_see_the_same_tasks(compared: Comparison) -> None:
    """Each rule serves every task once; tasker's own rule comes first."""
    assert [figures.rule for figures in compared.figures] == list(RULES)
    assert compared.figures[0].rule == OWN
    assert {figures.served for figures in compared.figures} == {compared.tasks}
    assert all(figures.failed == 0 for figures in compared.figures)


def test_fixed_pools_are_the_bounds(compared: Comparison) -> None:
    """Under no rule do tasks wait less than with the maximum or more than with the base, and none costs more than the
    maximum."""
    by_rule = {figures.rule: figures for figures in compared.figures}
    base, most = by_rule["base"], by_rule[MAXIMUM]
    assert (base.peak_workers, most.peak_workers) == (2, 20)
    for figures in compared.figures:
        assert most.mean - 1e-9 <= figures.mean <= base.mean + 1e-9
        assert figures.worker_seconds <= most.worker_seconds + 1
        assert 2 <= figures.peak_workers <= 20
    assert compared.fixed_maximum is most


def test_the_bound_holds(compared: Comparison) -> None:
    """A rule under which no task waits longer than the target costs at least the bound, and so does the fixed
    maximum."""
    for figures in compared.figures:
        if figures.late == 0:
            assert compared.cost(figures) >= 1
    assert compared.cost(compared.fixed_maximum) > 1


def test_the_maximum_is_run_for_the_oracle_alone() -> None:
    """The fixed maximum pool is not among the figures unless requested; tasker's own rule always is."""
    titles: list[str] = []
    compared = compare(SQUARE, POOL, rules=("base",), progress=titles.append)
    assert [figures.rule for figures in compared.figures] == [OWN, "base"]
    assert compared.bound.worker_seconds > 0
    assert titles == ["fixed at maximum", "the oracle", "tasker", "fixed at base"]


def test_without_scaling() -> None:
    """A burst interval of 0 turns scaling off: the pool stays at its base."""
    compared = compare(SQUARE, PoolOptions(worker_count=2, max_worker_count=20, burst_interval=0.0), rules=("base",))
    own, base = compared.figures
    assert own.peak_workers == 2
    assert own.mean == base.mean
