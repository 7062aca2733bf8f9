"""When a child is to be replaced though nothing is wrong with it."""

from __future__ import annotations

from time import monotonic

from tasker.process.options import ProcessBackend


class RecycleLimits:
    """What one child has behind it."""

    __slots__ = ("_most", "_until", "large", "served")

    def __init__(self, options: ProcessBackend) -> None:
        self._most = options.max_tasks
        self._until = None if options.max_age is None else monotonic() + options.max_age
        self.served: int = 0
        """Tasks that it has answered."""
        self.large: bool = False
        """Whether it said that it holds more than ``max_rss``."""

    def reached(self) -> bool:
        """Whether it gets no more tasks."""
        if self.large or (self._most is not None and self.served >= self._most):
            return True
        return self._until is not None and monotonic() >= self._until

    def remaining(self, wanted: int) -> int:
        """How many tasks it may have of those."""
        return wanted if self._most is None else min(wanted, self._most - self.served)
