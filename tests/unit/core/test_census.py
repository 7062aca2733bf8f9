"""The census tells the innermost listener of each engine that is made, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.core import census


@pytest.fixture(autouse=True)
def no_other_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "listeners", [])


def test_nobody_listens() -> None:
    """An engine is made, and nothing is kept."""
    census.enrol(object())
    assert census.listeners == []


def test_the_last_listener_is_told() -> None:
    """It alone; once it is gone, the one before it."""
    outer: list[Any] = []
    inner: list[Any] = []
    census.listeners.append(outer.append)
    census.listeners.append(inner.append)
    census.enrol("first")
    census.listeners.pop()
    census.enrol("second")
    assert (outer, inner) == (["second"], ["first"])
