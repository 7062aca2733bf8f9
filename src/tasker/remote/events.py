"""What sessions report: tuples that begin with their kind.

``READY``                 the resource is made
``UNMADE, error``         it could not be made; ``error`` is what its creation raised
``RESULT, number, value, started, finished``
``ERROR, number, error, started, finished, cancelled, blameless``
                          ``cancelled``: whether the task's context was cancelled there. ``blameless``: the error is the
                          journey's fault, so neither the task nor the resource is to blame
``SKIPPED, number``       the task was cancelled before it began
``UNREAD, given_up``      tasks are to be sent again: those that were sent together could not be read there; or (``given_up``)
                          one counts as begun that was not read yet, and does not begin
``LARGE, rss``            the resource holds more memory than it may, in bytes; it is to be replaced
``UNFIT, error``          ``on_return`` has raised this; the resource is to be replaced. The outcome of its task follows
``CHECKED, why``          ``check_resource`` was called; ``why`` the resource is to be replaced, or None
``GONE, error``           the resource is destroyed; ``error`` is what its destruction raised, or None
``GARBLED, fault``        the outcome of the first task in flight could not be read here

Times are seconds of this machine's ``time.monotonic()``. Errors are the errors themselves, ready to be raised.

Why tuples and not classes: a session reports one for each task, and making a tuple costs a tenth of making an instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tasker.errors import TravelError
from tasker.logs import describe

READY, UNMADE, RESULT, ERROR, SKIPPED, UNREAD, LARGE, UNFIT, GONE, GARBLED, CHECKED = range(11)

SessionEvent = tuple[Any, ...]

Told = tuple[int, float, float | None]
"""How far a task is, which is no event: its number in the session, how much is done, and of how much."""


def made(events: Iterable[SessionEvent]) -> bool:
    """Returns whether the resource is made according to these events; raises what its creation raised."""
    for event in events:
        if event[0] == READY:
            return True
        if event[0] == UNMADE:
            raise event[1]
    return False


def checked(events: Iterable[SessionEvent], handle: Callable[[SessionEvent], object]) -> SessionEvent | None:
    """Returns the ``CHECKED`` among these events, if it is there. The others are given to ``handle``."""
    answer = None
    for event in events:
        if event[0] == CHECKED:
            answer = event
        else:
            handle(event)
    return answer


def destruction(events: Iterable[SessionEvent]) -> SessionEvent | None:
    """Returns the event that says that the resource is destroyed, if it is among these."""
    return next((event for event in events if event[0] == GONE), None)


def garbled(what: str, fault: BaseException) -> TravelError:
    """Returns the error of a task whose outcome could not be read here."""
    error = TravelError(f"the result of {what} can't be unpickled: {describe(fault)}")
    error.__cause__ = fault
    return error


def out_of_turn(expected: int, number: int) -> RuntimeError:
    """Returns the error of a session that reports another task than its first: a task has forked, say, and both of the
    processes went on."""
    return RuntimeError(f"the session reported task {number} instead of {expected}")
