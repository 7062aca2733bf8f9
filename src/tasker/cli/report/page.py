"""The page of a finished run."""

from __future__ import annotations

from typing import Any

from tasker.cli.offline.page import render as render_page


def render(data: dict[str, Any]) -> str:
    """Returns the page as HTML."""
    scripts = ("items.js", "plots.js", "gantt.js", "report.js")
    return render_page("report", data["name"], data, scripts=scripts, styles=("report.css",))
