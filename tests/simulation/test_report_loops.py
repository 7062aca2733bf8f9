"""The report on clients that wait for their answers: the same frame, plots of what was done, and no oracle."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tasker.simulation import report_loops
from tasker.simulation.creation import Creation
from tasker.simulation.feedback import ClosedLoop, Contention
from tasker.simulation.loops import LoopComparison, compare_loops
from tasker.simulation.rules import OWN, RULES, PoolOptions
from tasker.simulation.services import Exponential

from . import pages

pytest.importorskip("matplotlib")

LOAD = ClosedLoop(
    name="a <loop>",
    words="50 clients of a <database>",
    clients=50,
    services=Exponential(0.01),
    duration=10.0,
    contention=Contention(4, 0.14),
    creation=Creation(0.1),
)


def comparison(**changes: object) -> LoopComparison:
    load = dataclasses.replace(LOAD, **changes)  # type: ignore[arg-type]
    return compare_loops(load, PoolOptions(worker_count=4, max_worker_count=32, ready_timeout=1.0))


@pytest.fixture(scope="module")
def compared() -> LoopComparison:
    return comparison()


@pytest.fixture(scope="module")
def page(compared: LoopComparison) -> str:
    return report_loops.text(compared)


def test_the_page_is_whole(page: str) -> None:
    """It is one page with six plots, whose names are quoted."""
    pages.assert_whole(page)
    pages.assert_plots(page, 6)
    assert "a &lt;loop&gt;" in page
    assert "50 clients of a &lt;database&gt;" in page


def test_what_is_in_it(compared: LoopComparison, page: str) -> None:
    """Each rule is in the table with its throughput, in the legend, and described; there is no oracle."""
    for rule in RULES.values():
        assert page.count(rule.title) >= 3
    for figures in compared.figures:
        assert f">{compared.rate(figures):,.1f}<" in page
        assert f">{compared.cost(figures):.2f}<" in page
    assert ">oracle<" not in page
    assert "There is no oracle" in page
    assert "thinking</dt><dd>none" in page


@pytest.mark.parametrize("rule", RULES)
def test_rates_over_time(compared: LoopComparison, rule: str) -> None:
    """Over the whole time, the rates make up all tasks that were started, but those of its end."""
    (figures,) = [figures for figures in compared.figures if figures.rule == rule]
    width = LOAD.duration / len(figures.rates)
    assert [moment for moment, _ in figures.rates] == pytest.approx([(n + 0.5) * width for n in range(150)])
    started = math.fsum(rate for _, rate in figures.rates) * width
    assert 0 <= figures.served - started <= LOAD.clients


def test_the_verdict(page: str) -> None:
    """It is that of the table: where more workers do harm, the maximum is slow, and what tasker does is enough."""
    assert 'class="verdict good"' in page
    assert "of what the best of these rules does (good: at least 90%)" in page


def test_a_bad_verdict() -> None:
    """Clients whose tasks are given up, as no resource can be made, and clients that think."""
    text = report_loops.text(comparison(creation=Creation(0.1, outage=(-1.0, 1000.0)), think=0.5))
    pages.assert_whole(text)
    assert 'class="verdict bad"' in text
    assert "given up" in text
    assert "thinking</dt><dd>500 ms" in text
    assert "outage" in text


def test_alone() -> None:
    """Without other rules, tasker is compared with itself."""
    one = compare_loops(LOAD, PoolOptions(worker_count=2, max_worker_count=4), rules=())
    assert [figures.rule for figures in one.figures] == [OWN]
    assert "100% of what the best of these rules does" in report_loops.text(one)
