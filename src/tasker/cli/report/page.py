"""The page as one file: its data, scripts and styles inside, so that it opens without a network, wherever it is moved.

Scripts and styles are those of the dashboard, and a few more. What comes from a run is never markup: it is JSON in which no tag can
be closed, of which the scripts make text. And if they did otherwise, the page's own policy would let nothing but its scripts
run, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

_DASHBOARD = ("dashboard", "static")
_OWN = ("cli", "report", "static")
_MODULES = (
    *((_DASHBOARD, name) for name in ("dom.js", "format.js", "theme.js", "charts.js")),
    *((_OWN, name) for name in ("tables.js", "plots.js", "gantt.js", "report.js")),
)
"""In the order of their dependencies."""
_IMPORT = re.compile(r"^import [^;]+;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def render(data: dict[str, Any]) -> str:
    """Returns the page as HTML."""
    library = _read(_DASHBOARD, "uplot.js")
    script = "\n".join(_unbound(_read(*place)) for place in _MODULES)
    styles = "\n".join(
        (_read(_DASHBOARD, "uplot.css"), _read(_DASHBOARD, "style.css"), _read(_OWN, "report.css")),
    )
    icon = base64.b64encode(_read(_DASHBOARD, "icon.svg").encode()).decode()
    values = {
        "policy": f"default-src 'none'; script-src {_hash(library)} {_hash(script)}; style-src {_hash(styles)}; img-src data:",
        "title": html.escape(f"{data['name']} \N{EN DASH} tasker report"),
        "icon": f"data:image/svg+xml;base64,{icon}",
        "styles": styles,
        "licence": _read(_DASHBOARD, "uplot.LICENSE"),
        "library": library,
        "script": script,
        "data": as_json(data),
    }
    # In one pass: what is put in is not looked through for names in turn.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _read(_OWN, "report.html"))


def as_json(data: Any) -> str:
    """Returns data as JSON that can be inside a script element: no tag and no comment begins or ends in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # in ASCII: lone surrogates have a form as well
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _unbound(module: str) -> str:
    """Returns a module without its imports and exports: all are in one script."""
    return _EXPORT.sub("", _IMPORT.sub("", module))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(folder: tuple[str, ...], name: str) -> str:
    # Not by the package of the dashboard, whose import needs its extra.
    place: Traversable = files("tasker").joinpath(*folder, name)
    return place.read_text(encoding="utf-8").replace("\r\n", "\n")
