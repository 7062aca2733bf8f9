"""The page that `tasker simulate` makes, opened from the disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra test")

from playwright.sync_api import expect

from tasker.cli.app import main

from .conftest import PATIENCE_MS, PHONE, OpenPage

NARROW = {"width": 1100, "height": 800}
OPEN = ("--workload", "square", "--rate", "100", "--low-rate", "5", "--duration", "60", "--max-workers", "16")
CLIENTS = (
    "--clients",
    "50",
    "--service-time",
    "0.01",
    "--contention",
    "4:0.14",
    "--duration",
    "10",
    "--max-workers",
    "32",
)

expect.set_options(timeout=PATIENCE_MS)

Simulate = Callable[..., str]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """Makes a report, and returns its address."""

    def make(*options: str) -> str:
        assert main(["simulate", *options, "--report", str(tmp_path / "out.html"), "--json"]) == 0
        return (tmp_path / "out.html").as_uri()

    return make


def drawn(page: Any, charts: int) -> None:
    expect(page.locator("figure.chart canvas")).to_have_count(charts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("options", "charts"), [(OPEN, 5), (CLIENTS, 6)], ids=["open", "clients"])
def test_a_simulation(
    simulate: Simulate,
    open_page: OpenPage,
    accessible: Callable[[Any], None],
    options: tuple[str, ...],
    charts: int,
    scheme: str,
) -> None:
    """Everything is drawn without a request or a complaint, nobody is kept out, and 1,100 pixels are enough for the table."""
    page = open_page(simulate(*options), scheme=scheme, size=NARROW)
    drawn(page, charts)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    drawn(page, charts)
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("#status")).to_contain_text("tasker: ")
    expect(page.locator("#verdict")).to_contain_text("worker-seconds")
    table = page.locator("[aria-label='Comparison, a table']")
    assert table.evaluate("one => one.scrollWidth <= one.clientWidth")
    shown = page.locator("main").inner_text()
    assert not [word for word in ("NaN", "undefined", "null", "Infinity") if word in shown]
    accessible(page)


def test_a_phone(simulate: Simulate, open_page: OpenPage, accessible: Callable[[Any], None]) -> None:
    """390 pixels are enough: only the table scrolls to the side, by itself."""
    page = open_page(simulate(*OPEN), size=PHONE)
    drawn(page, 5)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    accessible(page)


def test_equal_lines_are_told_apart(simulate: Simulate, open_page: OpenPage) -> None:
    """Where the number of workers is the same under each rule, and so are the waits, each line can be seen in its color."""
    page = open_page(simulate("--rate", "100", "--duration", "60", "--worker-count", "4", "--max-workers", "4"))
    drawn(page, 5)
    found = page.evaluate(
        """() => {
            const figure = [...document.querySelectorAll("figure.chart")].find((one) => one.innerText.startsWith("Waits over"));
            const canvas = figure.querySelector("canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const counts = {};
            for (const item of figure.querySelectorAll(".legend button")) {
                const color = getComputedStyle(item.querySelector(".swatch")).borderTopColor.match(/\\d+/g).map(Number);
                let number = 0;
                for (let at = 0; at < data.length; at += 4) {
                    if (data[at + 3] > 200 && color.every((part, place) => Math.abs(part - data[at + place]) < 24)) number += 1;
                }
                counts[item.querySelector("span:nth-child(2)").innerText] = number;
            }
            return counts;
        }"""
    )
    assert len(found) == 6
    assert min(found.values()) > 20, found


def test_a_rule_can_be_hidden_by_keyboard(simulate: Simulate, open_page: OpenPage) -> None:
    """Each entry of a legend is a button that says whether its line is shown."""
    page = open_page(simulate(*OPEN))
    drawn(page, 5)
    button = page.locator(".legend button", has_text="HPA-style").first
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_values_under_the_pointer(simulate: Simulate, open_page: OpenPage) -> None:
    """The legend has the values of the moment that is pointed at, and the most of the whole time otherwise."""
    page = open_page(simulate(*OPEN, "--compare", "base"))
    drawn(page, 5)
    chart = page.locator("figure.chart", has=page.get_by_role("heading", name="Workers", exact=True))
    own = chart.locator(".legend li", has_text="tasker").locator(".value")
    data = page.evaluate("JSON.parse(document.getElementById('data').textContent).charts[0]")
    expect(own).to_have_text(str(data["rest"]["tasker"]))
    plot = chart.locator(".u-over")
    plot.hover(position={"x": plot.bounding_box()["width"] * 0.4, "y": 20})
    expect(chart.locator(".when")).to_have_text(re.compile(r"^at (23\.[89]\d?|24(\.[012]\d?)?) s$"))
    near = {data["lines"]["tasker"][place] for place in range(158, 163)}
    assert max(near) < data["rest"]["tasker"]
    assert own.inner_text() in {str(value) for value in near}


def test_a_load_without_a_task(
    simulate: Simulate, open_page: OpenPage, tmp_path: Path, accessible: Callable[[Any], None]
) -> None:
    """A load in which nothing arrives has a page without a number that is none."""
    (tmp_path / "one.csv").write_text("arrival_s,service_s\n0.5,0.1\n")
    page = open_page(simulate(str(tmp_path / "one.csv"), "--duration", "0.25"))
    drawn(page, 5)
    shown = page.locator("main").inner_text()
    assert not [word for word in ("NaN", "undefined", "null", "Infinity") if word in shown]
    accessible(page)
