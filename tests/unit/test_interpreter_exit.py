"""What is ended when the interpreter exits."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from support.disturbed import Disturbed
from tasker.threads import interpreter_exit


class Engine:
    """Notes what it is asked for."""

    is_forked = False

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    def begin_exit(self) -> None:
        """Note it."""
        self.asked.append("begin")

    def finish_at_exit(self) -> None:
        """Note it."""
        self.asked.append("finish")


def test_another_thread_that_starts_a_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may do so at any moment of the exit; all others end, and begin before one is waited for."""
    asked: list[str] = []
    engines: list[Any] = [Engine(asked), Engine(asked)]
    known: Any = weakref.WeakSet(engines)
    known.data = Disturbed(known.data)
    monkeypatch.setattr(interpreter_exit, "_engines", known)
    interpreter_exit._stop_all()
    assert asked == ["begin", "begin", "finish", "finish"]
