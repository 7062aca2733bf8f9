"""Whether the GIL came back on an interpreter that was built without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasker.core import gil

FREE = "3.14.0 free-threading build (main, Oct  7 2025) [GCC 12.2.0]"
PLAIN = "3.14.0 (main, Oct  7 2025) [GCC 12.2.0]"


@pytest.mark.parametrize(
    ("interpreter", "came_back"),
    [
        ({"version": FREE, "flags": SimpleNamespace(gil=None), "_is_gil_enabled": lambda: True}, True),
        ({"version": FREE, "flags": SimpleNamespace(gil=None), "_is_gil_enabled": lambda: False}, False),
        ({"version": FREE, "flags": SimpleNamespace(gil=0), "_is_gil_enabled": lambda: False}, False),
        ({"version": FREE, "flags": SimpleNamespace(gil=1), "_is_gil_enabled": lambda: True}, False),
        ({"version": PLAIN, "flags": SimpleNamespace(gil=None), "_is_gil_enabled": lambda: True}, False),
        ({"version": "3.11.7 (main)", "flags": SimpleNamespace()}, False),
    ],
    ids=["an extension switched it on", "it is off", "kept off", "asked for", "never built without", "3.11"],
)
def test_each_interpreter(monkeypatch: pytest.MonkeyPatch, interpreter: dict[str, Any], came_back: bool) -> None:
    """Only a GIL that nobody asked for has come back."""
    monkeypatch.setattr(gil, "sys", SimpleNamespace(**interpreter))
    assert gil.gil_came_back() is came_back
