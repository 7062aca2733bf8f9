"""What is ended when the interpreter exits."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from support.contended import Contended
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


def test_two_threads_that_make_the_first_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two hooks, the second one would wait for ever for what the first one has ended."""
    engines: list[Any] = [Engine([]), Engine([])]
    hooks: list[Any] = []
    monkeypatch.setattr(interpreter_exit, "_engines", weakref.WeakSet())
    monkeypatch.setattr(interpreter_exit, "_at_exit", hooks.append)
    monkeypatch.setattr(interpreter_exit, "_unhooked", Contended([True], lambda: interpreter_exit.register(engines[1])))
    interpreter_exit.register(engines[0])
    assert hooks == [interpreter_exit._stop_all]
    assert len(interpreter_exit._engines) == 2
