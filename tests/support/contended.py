"""A list from which two threads take at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Contended(list[Any]):
    """Lets another thread step in just before an element is removed, once."""

    def __init__(self, items: Any, step: Callable[[], object]) -> None:
        super().__init__(items)
        self._steps = [step]

    def pop(self, index: Any = -1) -> Any:
        """Removes and returns an element, if it is still there."""
        if self._steps:
            self._steps.pop()()
        return super().pop(index)
