"""The page of a simulation."""

from __future__ import annotations

from typing import Any

from tasker.cli.offline.page import render as render_page


def render(data: dict[str, Any]) -> str:
    """Returns the page as HTML."""
    return render_page("simulate", data["name"], data, scripts=("plots.js", "simulate.js"), styles=("simulate.css",))
