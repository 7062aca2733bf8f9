"""What the page of `tasker simulate --clients` says: the same frame, what was done, and no oracle."""

from __future__ import annotations

import dataclasses

import pytest

from tasker.cli.simulate.contents_loops import contents
from tasker.cli.simulate.page import render
from tasker.simulation.creation import Creation
from tasker.simulation.feedback import ClosedLoop, Contention
from tasker.simulation.loops import LoopComparison, compare_loops
from tasker.simulation.rules import OWN, RULES, PoolOptions
from tasker.simulation.services import Exponential

from .pages import data_in

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


def test_what_is_in_it(compared: LoopComparison) -> None:
    """Each rule is in the table with its throughput and its cost, and in each chart; there is no oracle."""
    found = data_in(render(contents(compared)))
    assert found["words"].startswith("50 clients of a <database>. ")
    assert [one["title"] for one in found["charts"]] == [
        "Throughput", "Workers", "Queue", "Waits over time", "Waits", "Throughput against cost",
    ]  # fmt: skip
    for chart in found["charts"]:
        assert list(chart["lines"]) == list(RULES)
    for figures, (rule, cells) in zip(compared.figures, found["table"]["rows"], strict=True):
        assert rule == figures.rule
        assert len(cells) == len(found["table"]["titles"])
        assert cells[0][0].split()[0] == f"{compared.rate(figures):,.1f}"
        assert cells[-1][0].split()[0] == f"{compared.cost(figures):.2f}"
    assert found["cost"] is None
    assert any(words.startswith("There is no oracle") for _, words in found["notes"])
    assert dict(found["facts"])["thinking"] == "none"


def test_the_verdict(compared: LoopComparison) -> None:
    """It is that of the table: where more workers do harm, the maximum is slow, and what tasker does is enough."""
    found = contents(compared)
    assert found["status"] == ("tasker: good", "good")
    words, tone = found["verdict"]
    assert tone == "good"
    assert "of what the best of these rules does (good: at least 90%)" in words
    tones = {rule: cells[0][1] for rule, cells in found["table"]["rows"]}
    assert (tones[OWN], tones["max"]) == ("good", "bad")


def test_a_bad_verdict() -> None:
    """Clients whose tasks are given up, as no resource can be made, and clients that think."""
    found = data_in(render(contents(comparison(creation=Creation(0.1, outage=(-1.0, 1000.0)), think=0.5))))
    words, tone = found["verdict"]
    assert tone == "bad"
    assert "given up" in words
    facts = dict(found["facts"])
    assert facts["thinking"] == "500 ms"
    assert "outage" in facts


def test_alone() -> None:
    """Without other rules, tasker is compared with itself."""
    one = compare_loops(LOAD, PoolOptions(worker_count=2, max_worker_count=4), rules=())
    assert [figures.rule for figures in one.figures] == [OWN]
    assert "100% of what the best of these rules does" in contents(one)["verdict"][0]
