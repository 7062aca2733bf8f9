"""A page as one file: its data, scripts and styles inside, so that it opens without a network, wherever it is moved.

Scripts and styles are those of the dashboard, and a few more. What the page shows is never markup: it is JSON in which no tag can
be closed, of which the scripts make text. And if they did otherwise, the page's own policy would let nothing but its scripts
run, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

_DASHBOARD = ("dashboard", "static")
_OWN = ("cli", "offline", "static")
_SCRIPTS = (
    *((_DASHBOARD, name) for name in ("dom.js", "format.js", "theme.js", "charts.js")),
    (_OWN, "tables.js"),
)
"""In the order of their dependencies."""
_STYLES = ((_DASHBOARD, "uplot.css"), (_DASHBOARD, "style.css"), (_OWN, "page.css"))
_IMPORT = re.compile(r"^import [^;]+;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def render(kind: str, title: str, data: dict[str, Any], *, scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Returns a page as HTML.

    ``kind``: the command, whose folder has the ``scripts``, in the order of their dependencies, and the ``styles``.
    """
    own = ("cli", kind, "static")
    library = _read(_DASHBOARD, "uplot.js")
    modules = (*_SCRIPTS, *((own, name) for name in scripts))
    script = "\n".join(_unbound(_read(*place)) for place in modules)
    sheet = "\n".join(_read(*place) for place in (*_STYLES, *((own, name) for name in styles)))
    icon = base64.b64encode(_read(_DASHBOARD, "icon.svg").encode()).decode()
    values = {
        "policy": f"default-src 'none'; script-src {_hash(library)} {_hash(script)}; style-src {_hash(sheet)}; img-src data:",
        "kind": kind,
        # A name of a file may hold bytes that are no text.
        "title": html.escape(f"{title} \N{EN DASH} tasker {kind}".encode(errors="replace").decode()),
        "icon": f"data:image/svg+xml;base64,{icon}",
        "styles": sheet,
        "licence": _read(_DASHBOARD, "uplot.LICENSE"),
        "library": library,
        "script": script,
        "data": as_json(data),
    }
    # In one pass: what is put in is not looked through for names in turn.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _read(_OWN, "page.html"))


def write(path: str, page: str) -> None:
    """Writes a page to a file: there is either the old one or the whole new one. Raises ``OSError`` if it cannot be written."""
    # Through a temporary file beside it. Devices have no new one.
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:
            stream.write(page.encode())
        return
    target = os.path.realpath(path)
    temporary = f"{target}.tasker-tmp"
    try:
        with open(temporary, "wb") as stream:
            stream.write(page.encode())
        os.replace(temporary, target)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


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
