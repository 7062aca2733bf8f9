"""When a resource is to be replaced though nothing is wrong with it."""

from __future__ import annotations

from time import monotonic

from .session import SessionOptions


class RecycleLimits:
    """Counts what one session has served, against its limits."""

    __slots__ = ("_most", "_until", "large", "served")

    def __init__(self, options: SessionOptions) -> None:
        self._most = options.max_tasks
        self._until = None if options.max_age is None else monotonic() + options.max_age
        self.served: int = 0
        """Tasks that have ended there."""
        self.large: bool = False
        """Whether it is to be replaced anyway: it holds more memory than it may, or may wait for the judgement of an error
        that could not be read."""

    def reached(self) -> bool:
        """Returns whether it gets no more tasks."""
        if self.large or (self._most is not None and self.served >= self._most):
            return True
        return self._until is not None and monotonic() >= self._until

    def remaining(self, wanted: int) -> int:
        """Returns how many of the wanted tasks it may have."""
        return wanted if self._most is None else min(wanted, self._most - self.served)
