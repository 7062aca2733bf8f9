"""What the page of `tasker simulate` says of a load, as the data that its scripts draw."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.cli.simulate.charts import on_grid
from tasker.cli.simulate.contents import contents
from tasker.cli.simulate.page import render
from tasker.simulation import arrivals, services
from tasker.simulation.comparison import Comparison, compare
from tasker.simulation.creation import Creation
from tasker.simulation.rules import OWN, RULES, PoolOptions
from tasker.simulation.workload import Workload

from .pages import data_in


def comparison(**changes: object) -> Comparison:
    given: dict[str, object] = {
        "name": "a </script><b>load",
        "arrivals": arrivals.Poisson(50),
        "services": services.Exponential(0.1),
        "duration": 20.0,
        "creation": Creation(0.2),
        **changes,
    }
    return compare(Workload(**given), PoolOptions(worker_count=2, max_worker_count=12))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return comparison()


@pytest.fixture(scope="module")
def found(compared: Comparison) -> dict[str, Any]:
    return data_in(render(contents(compared)))


def test_the_page_needs_nothing_else(compared: Comparison, found: dict[str, Any]) -> None:
    """All is in it, and a name that closes the script is text."""
    page = render(contents(compared))
    assert page.count("</script>") == page.count("<script") == 3
    assert "<b>" not in page
    assert "tasker simulate</title>" in page
    assert found["name"] == "a </script><b>load"


def test_every_rule_is_in_every_part(compared: Comparison, found: dict[str, Any]) -> None:
    """Table, charts, costs and words have each rule, and the table what was computed."""
    assert [one["name"] for one in found["rules"]] == list(RULES)
    assert [rule for rule, _ in found["table"]["rows"]] == list(RULES)
    assert [rule for rule, _, _ in found["cost"]["bars"]] == list(RULES)
    assert [one["title"] for one in found["charts"]] == [
        "Workers", "Queue", "Waits over time", "Waits", "Wait against cost",
    ]  # fmt: skip
    for chart in found["charts"]:
        assert [name for name in chart["lines"] if name != "oracle"] == list(RULES)
        for name, values in chart["lines"].items():
            assert len(values) == len(chart["at"])
            assert any(value is not None for value in values), (chart["title"], name)
    for figures, (_, cells) in zip(compared.figures, found["table"]["rows"], strict=True):
        assert len(cells) == len(found["table"]["titles"])
        cost, tone = cells[-1]
        good = compared.costs_well(figures)
        assert (cost, tone) == (f"{compared.cost(figures):.2f} {'✓' if good else '✗'}", "good" if good else "bad")
    assert any("A lower bound" in words for _, words in found["notes"])
    assert found["decisions"]


def test_charts_keep_the_peaks(compared: Comparison, found: dict[str, Any]) -> None:
    """However short a peak is, the chart and its legend have it."""
    workers, queue = found["charts"][:2]
    for figures in compared.figures:
        inside = [sample for sample in figures.series if sample.time < 20.0]
        assert max(value for value in workers["lines"][figures.rule] if value is not None) == max(
            sample.alive for sample in inside
        )
        assert queue["rest"][figures.rule] == max(sample.queued for sample in inside)
        assert workers["rest"][figures.rule] == figures.peak_workers


def test_steps_on_a_grid() -> None:
    """A stretch has the greatest of the values in it, the one before included; before the first point there is none."""
    values = on_grid([(25.0, 2.0), (50.0, 9.0), (50.1, 1.0), (400.0, 7.0)], 400.0)
    assert values[24:27] == [None, 2.0, 2.0]
    assert values[49:53] == [2.0, 9.0, 1.0, 1.0]
    assert len(values) == 401
    assert values[-1] == 1.0
    assert set(on_grid([], 5.0)) == {None}


def test_a_ring_for_each_rule(compared: Comparison, found: dict[str, Any]) -> None:
    """In the chart of waits against cost: by cost, with one value of each rule."""
    trade = found["charts"][-1]
    assert trade["at"] == sorted(trade["at"])
    for figures in compared.figures:
        ((cost, wait),) = [
            (cost, value)
            for cost, value in zip(trade["at"], trade["lines"][figures.rule], strict=True)
            if value is not None
        ]
        assert (cost, wait) == (compared.cost(figures), figures.p99)


def test_failures_are_shown() -> None:
    """The page has the creations that fail and the tasks that were given up."""
    found = contents(comparison(creation=Creation(0.2, failing=1.0, outage=(3.0, 4.0))))
    facts = dict(found["facts"])
    assert facts["creations that fail"] == "100%"
    assert facts["outage"] == "3 s to 4 s"
    assert "given up" in found["table"]["rows"][0][1][6][0]
    assert "given up" in found["tiles"][0][2]
    assert found["verdict"][1] == "bad"


def test_most_tasks_are_late() -> None:
    """If the load is too much even for the maximum, the p99 may be good compared with it, but the verdict is not."""
    overload = comparison(arrivals=arrivals.Poisson(200), services=services.Constant(0.1))
    own = overload.figures[0]
    assert own.rule == OWN
    assert overload.waits_well(own)
    found = contents(overload)
    assert found["status"][0].startswith("tasker: late")
    words, tone = found["verdict"]
    assert tone == "bad"
    assert "of them are late: they waited longer than the target" in words
    assert found["tiles"][2][3] == "bad"


def test_nothing_arrives() -> None:
    """A workload without tasks has a page, too."""
    found = data_in(render(contents(comparison(arrivals=arrivals.TraceArrivals(())))))
    assert "0 tasks" in found["words"]
    assert found["charts"][2]["lines"][OWN] == [None] * 150


def test_a_name_that_is_no_text() -> None:
    """A trace may have a name with bytes that are not UTF-8: the page can be written all the same."""
    page = render(contents(comparison(name="trace-\udcff.csv")))
    assert page.encode()
    assert data_in(page)["name"] == "trace-\udcff.csv"
