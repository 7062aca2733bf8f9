"""The report: one page that needs nothing else, with every plot and figure."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from tasker.simulation import arrivals, report, services
from tasker.simulation.comparison import Comparison, compare
from tasker.simulation.creation import Creation
from tasker.simulation.rules import RULES, Pool
from tasker.simulation.workload import Workload

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
    return compare(Workload(**given), Pool(worker_count=2, max_worker_count=12))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def page() -> str:
    return report.text(comparison())


class Tags(HTMLParser):
    """Raises where an element is closed that is not open."""

    VOID = ("meta", "br", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole(page: str) -> None:
    """Elements are closed in their order, and nothing outside of the page is referred to."""
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert all(link.startswith("#") for link in tags.links)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def test_six_plots(page: str) -> None:
    """Each is an SVG that fills the width it is given, with the page's own colours for ink and lines."""
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 6
    for picture in pictures:
        root = ET.fromstring(picture)
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert "var(--ink)" in picture
        assert "#010203" not in picture
        assert "fill: #ffffff" not in picture


def test_every_rule_has_its_line(page: str) -> None:
    """In the table, with its cost; in the legend; and with what it does."""
    for rule in RULES.values():
        assert page.count(rule.title) >= 3
    for word in ("oracle", "late", "worker-seconds", "p99", "seed", "A lower bound"):
        assert word in page


def test_names_are_quoted(page: str) -> None:
    """A name is text, not markup."""
    assert "a &lt;load&gt;" in page
    assert "<load>" not in page


def test_failures_are_shown() -> None:
    """Creations that fail and tasks that were given up."""
    text = report.text(comparison(creation=Creation(0.2, failing=1.0, outage=(3.0, 4.0))))
    assert "given up" in text
    assert "creations that fail" in text
    assert "3 s to 4 s" in text


def test_nothing_arrives() -> None:
    """An empty load has a report, too."""
    assert "0 tasks" in report.text(comparison(arrivals=arrivals.Given(())))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(report.MissingExtra, match=r"pip install tasker-pool\[simulate\]"):
        report.drawing()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (2.5e-6, "2.5 µs"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (12.345, "12.3 s"), (1234.5, "1,234 s")],
)
def test_durations(value: float, shown: str) -> None:
    """Three digits, in the unit that suits."""
    assert report.seconds(value) == shown.replace("µ", "\N{MICRO SIGN}")
