"""What this process and a child tell each other.

A task goes as ``Order``, many in one message. For each of them one byte goes through a pipe of its own, the *permits*, before
the message; the child takes one before it begins a task. Both sides can read that pipe: so whoever takes a permit out decides,
in the kernel and at once, whether a task that was sent ahead begins or goes back to the queue, also while the child is deep
in C code; and after a child's death the permits that are left tell exactly which tasks it had not begun.

After an error that may be the resource's fault the child pauses: it begins nothing until a message says that the parent has
judged that error, and found it to be the task's own.

The byte is the *epoch* of its tasks: the parent, having taken permits back, begins the next, and the child drops what it has
of older ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

EPOCHS = 256


@dataclass(slots=True)
class Setup:
    """The first message: what the child is to be."""

    name: str
    create: Callable[[], Any] | None
    destroy: Callable[[Any], object] | None
    resource: Callable[[], Any] | None
    values: list[tuple[Any, Any]]
    """Of ``Config.ctx``."""
    asynchronous: bool
    must_admit: bool
    """Whether an error may mean that the resource is not to be used any more."""
    affinity: tuple[int, ...] | None
    nice: int
    max_rss: int | None
    grace: float
    """Seconds that a running task is given when the parent is gone."""
    levels: dict[str, int] = field(default_factory=dict)
    """Of the loggers."""


Variables = list[tuple[tuple[str, str], bytes]]
Order = tuple[int, Callable[..., Any] | str, tuple[Any, ...], Variables | None, list[Any] | None]
"""A task to be run: its number, function, arguments, context variables. Or its number, its name, and the three of them pickled
for themselves."""


LEAVE = "leave"
"""In place of orders: destroy the resource, and end."""

READY, UNMADE, RESULT, ERROR, SKIPPED, UNREAD, LARGE, GONE, GARBLED = range(9)
"""The child's messages, tuples that begin so:

``READY``                            the resource is made
``UNMADE, error``                    it could not be made
``RESULT, number, value, started, finished``
``ERROR, number, error, started, finished, cancelled``   ``cancelled``: whether its context was
``SKIPPED, number``                  cancelled before it began
``UNREAD, error``                    a message with orders that could not be unpickled
``LARGE, rss``                       it holds more memory than ``max_rss``
``GONE, error or None``              the resource is destroyed
``GARBLED, fault``                   not the child's: a result that could not be unpickled here
"""

Answer = tuple[Any, ...]
