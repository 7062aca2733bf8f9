"""What is true of the page of every report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser


class Tags(HTMLParser):
    """Asserts that elements are closed in the order in which they were opened; collects links."""

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


def assert_whole(page: str) -> None:
    """Elements are closed in order, and the page refers to nothing outside of itself."""
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert all(link.startswith("#") for link in tags.links)
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []


def assert_plots(page: str, number: int) -> None:
    """Each plot is an SVG without a fixed width, with the page's colours for text and lines."""
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == number
    for plot in plots:
        root = ET.fromstring(plot)
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
        assert "var(--ink)" in plot
        assert "#010203" not in plot
        assert "fill: #ffffff" not in plot
