"""Notifies a listener of each manager that starts: ``tasker.testing`` looks afterwards whether it was ended.

Keeps nothing, and has no listener unless a test run has added one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

listeners: list[Callable[[Any], object]] = []
"""Called with the core of each engine that is made, in the thread that makes it. The last one alone: it stands for the
innermost of nested tests and fixtures."""


def enrol(engine: Any) -> None:
    """Notifies the listener of a new engine. Called at the end of its construction."""
    for listener in listeners[-1:]:
        listener(engine)
