"""The report: one self-contained page with all plots and figures."""

from __future__ import annotations

import sys

import pytest

from tasker.cli.simulate.text import verdict
from tasker.simulation import arrivals, report, services
from tasker.simulation.comparison import Comparison, compare
from tasker.simulation.creation import Creation
from tasker.simulation.drawing import DASHES, MissingExtra, load_matplotlib
from tasker.simulation.page import seconds
from tasker.simulation.rules import OWN, RULES, PoolOptions
from tasker.simulation.workload import Workload

from . import pages

pytest.importorskip("matplotlib")


def comparison(**changes: object) -> Comparison:
    given: dict[str, object] = {
        "name": "a <load>",
        "arrivals": arrivals.Poisson(50),
        "services": services.Exponential(0.1),
        "duration": 20.0,
        "creation": Creation(0.2),
        **changes,
    }
    return compare(Workload(**given), PoolOptions(worker_count=2, max_worker_count=12))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def page() -> str:
    return report.text(comparison())


def test_the_page_is_whole(page: str) -> None:
    """Elements are closed in order, and the page refers to nothing outside of itself."""
    pages.assert_whole(page)


def test_six_plots(page: str) -> None:
    """Each plot is an SVG without a fixed width, with the page's colours for text and lines."""
    pages.assert_plots(page, 6)


def test_every_rule_has_its_line(page: str) -> None:
    """Each rule is in the table with its cost, in the legend, and described."""
    for rule in RULES.values():
        assert page.count(rule.title) >= 3
    for word in ("oracle", "late", "worker-seconds", "p99", "seed", "A lower bound"):
        assert word in page


def test_names_are_quoted(page: str) -> None:
    """Names are escaped."""
    assert "a &lt;load&gt;" in page
    assert "<load>" not in page


def test_failures_are_shown() -> None:
    """The report has the creations that fail and the tasks that were given up."""
    text = report.text(comparison(creation=Creation(0.2, failing=1.0, outage=(3.0, 4.0))))
    assert "given up" in text
    assert "creations that fail" in text
    assert "3 s to 4 s" in text


def test_most_tasks_are_late() -> None:
    """If the load is too much even for the maximum, the p99 may be good compared with it, but the verdict is not."""
    overload = comparison(arrivals=arrivals.Poisson(200), services=services.Constant(0.1))
    own = overload.figures[0]
    assert overload.waits_well(own)
    assert overload.mostly_late(own)
    text = report.text(overload)
    assert 'class="verdict bad"' in text
    assert "of them are late: they waited longer than the target" in text
    assert verdict(overload, own).startswith("late")


def test_equal_lines_are_told_apart() -> None:
    """Each rule but tasker's own, whose line is wide and lies below the others, has dashes of its own."""
    assert set(DASHES) == set(RULES) - {OWN}
    assert len(set(DASHES.values())) == len(DASHES)


def test_nothing_arrives() -> None:
    """A workload without tasks has a report, too."""
    assert "0 tasks" in report.text(comparison(arrivals=arrivals.TraceArrivals(())))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib, MissingExtra names the extra to install."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install tasker-pool\[simulate\]"):
        load_matplotlib()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (2.5e-6, "2.5 µs"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (12.345, "12.3 s"), (1234.5, "1,234 s")],
)
def test_durations(value: float, shown: str) -> None:
    """A duration has three digits and a suitable unit."""
    assert seconds(value) == shown.replace("µ", "\N{MICRO SIGN}")
