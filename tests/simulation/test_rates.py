"""The throughput over time, of which charts are drawn."""

from __future__ import annotations

import math

import pytest

from tasker.simulation.creation import Creation
from tasker.simulation.feedback import ClosedLoop, Contention
from tasker.simulation.loops import LoopComparison, compare_loops
from tasker.simulation.rules import RULES, PoolOptions
from tasker.simulation.services import Exponential

LOAD = ClosedLoop(
    name="clients",
    words="50 clients",
    clients=50,
    services=Exponential(0.01),
    duration=10.0,
    contention=Contention(4, 0.14),
    creation=Creation(0.1),
)


@pytest.fixture(scope="module")
def compared() -> LoopComparison:
    return compare_loops(LOAD, PoolOptions(worker_count=4, max_worker_count=32, ready_timeout=1.0))


@pytest.mark.parametrize("rule", RULES)
def test_rates_over_time(compared: LoopComparison, rule: str) -> None:
    """Over the whole time, the rates make up all tasks that were started, but those of its end."""
    (figures,) = [figures for figures in compared.figures if figures.rule == rule]
    width = LOAD.duration / len(figures.rates)
    assert [moment for moment, _ in figures.rates] == pytest.approx([(n + 0.5) * width for n in range(150)])
    started = math.fsum(rate for _, rate in figures.rates) * width
    assert 0 <= figures.served - started <= LOAD.clients
