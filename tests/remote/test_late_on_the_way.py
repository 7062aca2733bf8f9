"""A task that was sent ahead, and whose deadline passes before it is known that it has begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tasker.errors import TaskCancelled, TaskTimeout
from tasker.remote.threads_window import ThreadsWindow
from tasker.threads.future_log import RUN, Ending


@pytest.mark.parametrize(
    ("ending", "cancelled"),
    [(Ending(TaskTimeout()), False), (Ending(TaskCancelled(), cancelled=True), True)],
    ids=["deadline", "cancel"],
)
def test_what_has_ended_it_on_its_way(ending: Ending, cancelled: bool) -> None:
    """Only a cancellation is told as one: a deadline has its own cause, or the task would end as cancelled by nobody."""
    future: Any = SimpleNamespace(_log=[RUN, ending], _context=None)
    context: Any = object()
    window: Any = object()
    assert ThreadsWindow._give_context(window, future, context) is cancelled
    assert future._context is context
