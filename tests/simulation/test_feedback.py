"""Loads that feel the pool: contention, clients that wait for their answer, and what trials are good for there."""

from __future__ import annotations

import math
import random
import statistics
from array import array

import pytest

from tasker.control import actions as act
from tasker.control.scaling import RatePolicy
from tasker.control.view import Plan
from tasker.simulation.creation import Creation
from tasker.simulation.feedback import ClosedLoop, Contention, run_closed_loop
from tasker.simulation.loops import compare_loops
from tasker.simulation.outcome import Outcome
from tasker.simulation.pool import SimulatedPool
from tasker.simulation.rules import PoolOptions
from tasker.simulation.services import Constant, Exponential
from tasker.simulation.workload import Tasks

DATABASE = ClosedLoop(
    name="database",
    words="a database that does best with 4 connections",
    clients=50,
    services=Exponential(0.01),
    duration=60.0,
    contention=Contention(4, 1 / 7),
    creation=Creation(0.1),
)


def fixed(count: int) -> Plan:
    """A pool that never scales."""
    return Plan(count, count, scales=False)


def rate(outcome: Outcome, load: ClosedLoop) -> float:
    """Tasks a second."""
    return len(outcome.waits) / load.duration


def test_contention_by_hand() -> None:
    """Up to the best number tasks take as long as alone; twice as many take twice as long each, and longer if they lose."""
    assert [Contention(4).factor(running) for running in (1, 4, 8)] == [1.0, 1.0, 2.0]
    assert Contention(4, 0.25).factor(8) == 2.5


@pytest.mark.parametrize(("workers", "expected"), [(2, 200.0), (4, 400.0), (32, 200.0)])
def test_a_closed_loop(workers: int, expected: float) -> None:
    """Fifty clients keep every worker busy; so the throughput is that of the workers, at the database's price."""
    outcome = run_closed_loop(fixed(workers), DATABASE)
    assert rate(outcome, DATABASE) == pytest.approx(expected, rel=0.05)


def test_clients_that_think() -> None:
    """A client that waits for its answer and then thinks sends one task in each such cycle, and no more than its rounds."""
    load = ClosedLoop(name="", words="", clients=3, services=Constant(0.1), duration=100.0, think=0.9, rounds=None)
    assert rate(run_closed_loop(fixed(3), load), load) == pytest.approx(3.0, rel=0.1)
    once = ClosedLoop(name="", words="", clients=7, services=Constant(0.1), duration=10.0, begin=5.0, rounds=1)
    outcome = run_closed_loop(fixed(1), once)
    assert list(outcome.arrivals) == [5.0] * 7
    assert list(outcome.waits) == pytest.approx([0.1 * number for number in range(7)])


def test_creations_that_vary() -> None:
    """Creations vary about their mean if they have a spread."""
    rng = random.Random(1)
    drawn = [Creation(2.0, spread=0.5).duration(rng) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(2.0, rel=0.02)
    assert statistics.stdev(drawn) > 0.5
    assert Creation(2.0).duration(rng) == 2.0


@pytest.mark.parametrize("seed", range(3))
def test_trials_find_what_a_database_does_best(seed: int) -> None:
    """With trials, the throughput is more than a third higher than with all workers, at less than two thirds of the cost,
    although the backlog is short."""
    with_trials = run_closed_loop(Plan(4, 32), DATABASE, seed=seed)
    without = run_closed_loop(Plan(4, 32, policy=RatePolicy(trials=False)), DATABASE, seed=seed)
    assert rate(with_trials, DATABASE) > 1.33 * rate(without, DATABASE)
    assert with_trials.worker_seconds < 0.67 * without.worker_seconds


@pytest.mark.parametrize("shift", range(10))
def test_a_spike_into_a_cold_pool(shift: int) -> None:
    """HikariCP's spike: fifty clients at once, 2 ms each, on five workers that take 150 ms to make. That is 20 ms of work,
    so no more than one further worker is made, wherever the ticks fall."""
    spike = ClosedLoop(
        name="spike", words="", clients=50, services=Constant(0.002), duration=3.0, rounds=1, creation=Creation(0.15)
    )
    outcome = run_closed_loop(Plan(5, 50), spike, warm_up=shift / 100)
    assert len(outcome.waits) == 50
    assert outcome.created <= 6


def test_a_trial_in_vain_costs_no_creation() -> None:
    """Half as many workers are tried, which complete less: all are back, and none had to be made for it."""
    load = ClosedLoop(
        name="crowded",
        words="",
        clients=80,
        services=Exponential(0.05),
        duration=400.0,
        contention=Contention(24, 0.3),
        creation=Creation(2.0),
    )
    outcome = run_closed_loop(Plan(2, 32), load, seed=2)
    decisions = [line for _, line in outcome.log if "scaling from" in line]
    assert any("it is tried whether fewer do" in line for line in decisions)
    assert any("fewer workers complete less, so all are back" in line for line in decisions)
    assert outcome.created == outcome.peak_workers == 32


def test_tasks_of_clients_that_are_given_up() -> None:
    """If no worker is ready for too long, the clients get an error each, and come again."""
    load = ClosedLoop(
        name="away",
        words="",
        clients=5,
        services=Constant(0.1),
        duration=60.0,
        think=1.0,
        creation=Creation(0.5, outage=(-1.0, 30.0)),
    )
    outcome = run_closed_loop(Plan(1, 2, ready_timeout=2.0), load)
    assert outcome.failed > 20
    assert outcome.served > 50
    assert outcome.failed + outcome.served == len(outcome.waits) == len(outcome.arrivals)
    assert list(outcome.arrivals) == sorted(outcome.arrivals)


def test_rules_on_a_closed_loop() -> None:
    """The rule that does enough for the least is the measure of the others."""
    comparison = compare_loops(DATABASE, PoolOptions(worker_count=4, max_worker_count=32), rules=("base", "max"))
    own, base, most = comparison.figures
    assert [figures.rule for figures in comparison.figures] == ["tasker", "base", "max"]
    assert (comparison.cost(base), comparison.costs_well(base), comparison.does_enough(base)) == (1.0, True, True)
    assert not comparison.does_enough(most)
    assert not comparison.costs_well(most)
    assert comparison.rate(own) == pytest.approx(400, rel=0.1)


class Recorded(SimulatedPool):
    """Notes when each creation begins."""

    begun: list[float]

    def _start_worker(self, action: act.StartWorker, now: float) -> None:
        self.begun = [*getattr(self, "begun", []), now]
        super()._start_worker(action, now)


@pytest.mark.parametrize("seed", range(5))
def test_a_ramp_that_ends(seed: int) -> None:
    """HikariCP's ramp: the load grows to what fifty workers do and ends. Workers are made on the way, each of which takes
    150 ms, and none any more once the last task has arrived."""
    rng = random.Random(seed)
    rising = sorted(2.0 * math.sqrt(rng.random()) for _ in range(4000))
    tasks = Tasks(array("d", rising), array("d", [0.01] * len(rising)))
    pool = Recorded(Plan(5, 50), tasks, 10.0, creation=Creation(0.15), seed=seed)
    outcome = pool.run()
    assert outcome.peak_workers > 20, "the ramp is steep enough to need more"
    assert not [moment for moment in pool.begun if moment > rising[-1]]
