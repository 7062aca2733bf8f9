"""What stands in the log of watchers of a context: cancellations, and whom they wake. See ``context``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Fired:
    """The moment of cancellation in a context's log of watchers."""

    __slots__ = ("cause",)

    def __init__(self, cause: BaseException) -> None:
        self.cause: BaseException = cause


class Watcher:
    """Calls ``fn`` once, when the first of its contexts is cancelled."""

    __slots__ = ("_once", "fn", "ours")

    def __init__(self, fn: Callable[[], object], ours: bool) -> None:
        self.fn: Callable[[], object] = fn
        self.ours: bool = ours
        """Whether it wakes a ``wait``. Those come first: callbacks of the user may take long."""
        self._once = [None]

    def fire(self) -> None:
        # Several contexts of one line may be cancelled at the same time, by different threads. `pop` is atomic: one of
        # them gets the element.
        try:
            self._once.pop()
        except IndexError:
            return
        self.fn()


def take_out(watchers: list[Any], watcher: Fired | Watcher) -> None:
    """Takes a watcher out of a log. Harmless if it is not there, or another thread takes it out at the same moment."""
    try:
        watchers.remove(watcher)
    except ValueError:
        pass


def first_fired(log: tuple[Any, ...]) -> Fired:
    """Returns the first of the cancellations at the head of a log; each was inserted before the ones that came earlier."""
    first: Fired = log[0]
    for entry in log[1:]:
        if type(entry) is not Fired:
            break
        first = entry
    return first


def fire_all(watchers: list[Watcher]) -> list[BaseException]:
    """Calls every watcher, even if one raises; returns the errors."""
    errors: list[BaseException] = []
    for watcher in watchers:
        try:
            watcher.fire()
        except BaseException as error:
            errors.append(error)
    return errors


def raise_first(errors: list[BaseException]) -> None:
    if errors:
        raise errors[0]
