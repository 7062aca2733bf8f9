"""Tombstones: when the ended tasks that stay in a queue are swept out."""

from __future__ import annotations

import pytest

from tasker.core import tombstones
from tasker.core.tombstones import Tombstones


def test_due_when_half_of_the_queue_has_ended() -> None:
    """A sweep is due once until it is made, and then after as many endings again."""
    counted = Tombstones()
    half = tombstones.LONG
    assert not counted
    for _ in range(2):
        assert [counted.add(2 * half) for _ in range(half + 2)] == [*[False] * (half - 1), True, False, False]
        assert counted
        counted.swept()
        assert not counted


def test_not_due_for_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that has become short is not swept for a handful of tasks."""
    monkeypatch.setattr(tombstones, "LONG", 10)
    counted = Tombstones()
    assert [counted.add(3) for _ in range(5)] == [False] * 4 + [True]
