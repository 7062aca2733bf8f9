"""The page that `tasker report` makes, opened from the disk, as whoever gets it by mail does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra test")

from playwright.sync_api import expect

from tasker.cli.app import main

from .conftest import PATIENCE_MS, PHONE, OpenPage

HOSTILE = "</script><script>pwned = 1</script><img src=x onerror='pwned = 2'>"
NOON = 1_764_417_600.0

expect.set_options(timeout=PATIENCE_MS)


def result(index: int, **more: Any) -> dict[str, Any]:
    """Returns a line: one item a second, by two workers."""
    values: dict[str, Any] = {
        "index": index, "input": f"item {index}", "status": "done", "result": 0, "attempts": 1, "wait_s": 0.5,
        "execution_s": 1.5, "started_at": NOON + index, "worker": f"jobs-{index % 2 + 1}", "job": "a-b",
    }  # fmt: skip
    if index % 10 == 7:
        error = {"type": "ValueError", "message": HOSTILE, "traceback": f"Traceback\n  {HOSTILE}"}
        values |= {"status": "failed", "error": error, "attempts": 3}
    return values | more


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., str]:
    """Makes a report of some lines, and returns its address."""

    def make(*lines: dict[str, Any], text: str = "") -> str:
        (tmp_path / "results.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines) + text)
        assert main(["report", str(tmp_path / "results.jsonl"), "-o", str(tmp_path / "report.html"), "--quiet"]) == 0
        return (tmp_path / "report.html").as_uri()

    return make


def drawn(page: Any) -> None:
    expect(page.locator("figure.chart canvas")).to_have_count(6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_run_in_two_parts(
    report: Callable[..., str], open_page: OpenPage, accessible: Callable[[Any], None], scheme: str
) -> None:
    """Everything is drawn without a request or a complaint, and nobody is kept out."""
    lines = [result(n, started_at=NOON + n + (80_000 if n >= 60 else 0)) for n in range(120)]
    page = open_page(report(*lines, text='{"foreign": 1}\n{"index": 4'), scheme=scheme)
    drawn(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    drawn(page)
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}
    expect(page.locator("#status")).to_have_text("12 failed")
    tiles = page.locator(".tile .main").all_inner_texts()
    assert tiles[:2] == ["120", "12"]
    assert tiles[4:] == ["500 ms", "1.5 s"]
    notices = page.locator(".notices")
    expect(notices).to_contain_text("1 line is no result of tasker run, and left out.")
    expect(notices).to_contain_text("Line 121: no field 'index'")
    expect(notices).to_contain_text("Line 122: the last line is incomplete")
    expect(notices).to_contain_text("Nothing ran for 22 h 13 min")
    page.locator(".groups summary").first.click()
    accessible(page)


def test_nothing_of_a_run_is_markup(report: Callable[..., str], open_page: OpenPage) -> None:
    """An item, a worker and an error that are markup are shown as they are; nothing of it runs."""
    page = open_page(report(*(result(n, input=HOSTILE, worker=HOSTILE) for n in range(20))))
    drawn(page)
    expect(page.locator("td.task").first).to_have_text(HOSTILE)
    expect(page.locator(".groups .message").first).to_have_text(HOSTILE[:300])
    page.locator(".groups summary").first.click()
    expect(page.locator(".stories pre").first).to_contain_text(HOSTILE)
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.evaluate("[...document.images].every((one) => one.closest('h1'))")


def test_the_policy_of_the_page_holds(report: Callable[..., str], open_page: OpenPage) -> None:
    """What is not the page's own does not run, even if it got in."""
    page = open_page(report(result(0)), tolerates="Content Security Policy")
    drawn(page)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "pwned = 1";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("typeof pwned") == "undefined"


def test_a_box_tells_what_it_is(report: Callable[..., str], open_page: OpenPage) -> None:
    """Under the pointer: the worker, the time, the item and how long it took."""
    page = open_page(report(*(result(n) for n in range(20))))
    drawn(page)
    point_at(page, 8.7, row=0)
    expect(page.locator(".when-words")).to_contain_text("jobs-1, ")
    expect(page.locator(".when-words")).to_contain_text("item 8 for 1.5 s")
    point_at(page, 8.2, row=1)
    expect(page.locator(".when-words")).to_contain_text("jobs-2, ")
    expect(page.locator(".when-words")).to_contain_text("item 7 for 1.5 s, failed")


def point_at(page: Any, second: float, *, row: int) -> None:
    """Moves the pointer to a moment of the run in the row of a worker."""
    steps = page.evaluate("JSON.parse(document.getElementById('data').textContent).steps")
    begin, end = steps["at"][0] - steps["step"] / 2, steps["at"][-1] + steps["step"] / 2
    plot = page.locator(".gantt-plot .u-over")
    plot.hover(
        position={"x": plot.bounding_box()["width"] * (NOON + second - begin) / (end - begin), "y": 9 + 18 * row}
    )


def test_a_phone(report: Callable[..., str], open_page: OpenPage, accessible: Callable[[Any], None]) -> None:
    """390 pixels are enough: only tables scroll to the side, by themselves."""
    page = open_page(report(*(result(n, input="x" * 300) for n in range(120)), text="\n".join("y" * 9)), size=PHONE)
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    accessible(page)


def test_the_theme_can_be_chosen(report: Callable[..., str], open_page: OpenPage) -> None:
    """In a file as well, where a browser may have no storage for it."""
    page = open_page(report(result(0)), scheme="dark")
    drawn(page)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme: auto").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_an_empty_run(report: Callable[..., str], open_page: OpenPage, accessible: Callable[[Any], None]) -> None:
    """Says so, and shows no number that is none."""
    page = open_page(report())
    expect(page.locator("#status")).to_have_text("No items")
    expect(page.locator(".notices")).to_contain_text("There is no result in this file")
    assert not [text for text in page.locator(".tile").all_inner_texts() if "NaN" in text or "undefined" in text]
    accessible(page)


def test_lines_without_a_time(report: Callable[..., str], open_page: OpenPage) -> None:
    """Of older versions: what needs times is left out, which the page says; the distributions are there."""
    page = open_page(report(*(result(n, started_at=None) for n in range(20))))
    expect(page.locator(".notices")).to_contain_text("20 lines without started_at")
    expect(page.locator("figure.chart canvas")).to_have_count(2)
    expect(page.locator(".gantt-plot")).to_have_count(0)
    assert not [text for text in page.locator(".tile").all_inner_texts() if "NaN" in text or "undefined" in text]
