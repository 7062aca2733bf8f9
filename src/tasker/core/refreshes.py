"""Refreshes: who waits for which refresh."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count


class Refreshes:
    """The refreshes of one manager that are not over. Thread-safe: each step on the dict is atomic."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._waiting: dict[int, Callable[[bool], object]] = {}

    def add(self, notify: Callable[[bool], object]) -> int:
        """Returns the number of a new one. ``notify`` is called once: with True when it is over, with False if the manager
        ends before."""
        number = next(self._numbers)
        self._waiting[number] = notify
        return number

    def over(self, number: int, *, refreshed: bool = True) -> None:
        """This refresh is over, or the manager has ended first. Harmless when repeated."""
        notify = self._waiting.pop(number, None)
        if notify is not None:
            notify(refreshed)

    def end(self) -> None:
        """The manager has ended. Harmless when repeated."""
        for number in list(self._waiting):
            self.over(number, refreshed=False)
