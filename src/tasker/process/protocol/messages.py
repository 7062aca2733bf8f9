"""What this process and a child send each other.

A task goes as an ``EncodedTask``, many in one message. For each of them one byte goes through a pipe of its own, the
*permits*, before the message; the child takes one before it begins a task. Both sides can read that pipe, so whichever
takes a permit out decides, in the kernel and at once, whether a task that was sent ahead begins or goes back to the queue,
even while the child is deep in C code. And after a child's death the permits that are left say exactly which tasks it had
not begun.

After an error that may be the resource's fault the child pauses: it begins nothing until a message says that the parent has
judged that error, and found it to be the task's own. After a message that it could not read it does the same, so that nothing
that was sent behind it begins out of turn.

A child that has read a task finds a permit, or none; unless the task was recalled and a newer one was sent, whose permit it then
has and whose message it has not read. To read that may be its end, and the task would count as begun. So it gives the permit up
and reports that; it pauses until the tasks come again.

The byte is the *epoch* of its tasks: the parent, having taken permits back, begins the next, and the child drops what it has
of older ones.

The child's messages are the events of ``remote.events``, except that ``UNMADE``, ``ERROR``, ``UNFIT`` and ``GONE`` carry a
``PackedError`` in place of the error, and ``ERROR`` ends with ``cancelled``. ``GARBLED`` is never sent: it stands for a
message that could not be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .setups import ResourceSetup

EPOCHS = 256


@dataclass(slots=True)
class Setup:
    """The message behind ``Surroundings``: what the child is to be."""

    name: str
    made_of: ResourceSetup
    must_admit: bool
    """Whether an error may mean that the resource is not to be used any more."""
    affinity: tuple[int, ...] | None
    nice: int
    max_rss: int | None
    levels: dict[str, int] = field(default_factory=dict)
    """Of the loggers."""


Variables = list[tuple[tuple[str, str], bytes]]
EncodedTask = tuple[int, Callable[..., Any] | str, tuple[Any, ...], Variables | None, list[Any] | None]
"""A task on its way: number, function, arguments, context variables, None. Or, where it is pickled for itself: number, name,
(), None, and the pickle of function, arguments and variables in parts."""

LATER: list[Any] = []
"""In place of the parts of a task that is sent by itself and is large: they are the next message. So the child can take the
permit, and thereby the task counts as begun, before anything of it is mapped or made again."""

TERMINATE = None
"""In place of the cause of a cancellation: interrupt that task, destroy the resource, and end. As there, 0 in place of the
task's number stands for whatever runs. An order for a task that runs no more is void: it must not strike the one behind it."""

FORGET = "forget"
"""In place of the cause of a cancellation, behind the key of a shared value in place of a number: keep that no longer."""

# Another one stands for a question, see ``whereabouts``.

CHECK = "check"
"""In place of a message with tasks: call ``check_resource``, and report ``CHECKED``."""

LEAVE = "leave"
"""In place of a message with tasks: destroy the resource, and end."""

ChildMessage = tuple[Any, ...]
