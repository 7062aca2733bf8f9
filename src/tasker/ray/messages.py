"""What goes to an actor and back: pickles, in parts if there is something large in them.

Ray serialises each argument of a call by itself, and knows a short way for one that is bytes. So what is small travels as one
argument of bytes, which saves a tenth of what a call takes.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from tasker.process.protocol.pickling import unpack

Message = bytes | list[Any]
"""A pickle; a list: in parts, as Ray carries them without copying the large ones."""

Answer = bytes | list[Message]
"""What a call of an actor returns: its messages; bytes: its only one."""


def message(parts: Any) -> Message:
    """Returns what Ray is to carry of a pickle in parts."""
    first, *buffers = parts
    return [first, *buffers] if buffers else first


def opened(carried: Message) -> Any:
    """Makes the value again; raises what unpickling raises."""
    return unpack([carried] if isinstance(carried, bytes) else carried)


def answer(messages: list[Message]) -> Answer:
    """Returns what a call of an actor is to return."""
    only = messages[0] if len(messages) == 1 else None
    return only if isinstance(only, bytes) else messages


def messages_of(answered: Answer) -> list[Message]:
    """Returns the messages again."""
    return [answered] if isinstance(answered, bytes) else answered


def call_of(number: int, name: str, packed: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
    """Returns the arguments of the call that executes a task, which is pickled in parts and refers to shared values."""
    first, *buffers = packed
    call: list[Any] = [pickle.dumps((number, name, first))]
    if buffers or shared:
        call.append(buffers)
    if shared:
        call.append([*shared])  # inside of a list Ray passes them on as references
    return call


def called(head: bytes, buffers: Sequence[Any]) -> tuple[int, str, list[Any]]:
    """Returns the number, the name and the pickle of that task, see ``call_of``."""
    number, name, first = pickle.loads(head)  # noqa: S301  from our own driver
    return number, name, [first, *buffers]
