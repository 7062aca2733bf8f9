"""From a child's message to the event that it stands for."""

from __future__ import annotations

from pickle import loads
from typing import Any

from tasker.errors import TravelError
from tasker.logs import describe
from tasker.remote.events import ERROR, GARBLED, GONE, RESULT, UNFIT, UNMADE, SessionEvent

from .errors import PackedError, unpack_error
from .pickling import unpack


def event_of(message: bytes | list[Any] | OSError | MemoryError) -> SessionEvent:
    """Returns the event; ``GARBLED`` for a message that cannot be read."""
    try:
        if type(message) is bytes:  # nearly always
            event: SessionEvent = loads(message)  # noqa: S301  from our own pipe
        elif isinstance(message, list):
            event = unpack(message)
        else:
            return GARBLED, message
    except BaseException as fault:  # whatever the user's methods raise: the other outcomes have to be delivered
        return GARBLED, fault
    return event if event[0] == RESULT else _with_its_error(event)


def _with_its_error(message: SessionEvent) -> SessionEvent:
    kind = message[0]
    if kind == ERROR:
        _, number, packed, started, finished, cancelled = message
        error = _made_again(packed)
        # Not every ``TravelError``: one that stands for an error which could not be pickled at all is the task's.
        blameless = issubclass(type(error), TravelError) and packed.pickled is not None
        return ERROR, number, error, started, finished, cancelled, blameless
    if kind in (UNMADE, UNFIT, GONE):
        return kind, None if message[1] is None else _made_again(message[1])
    return message


def _made_again(packed: PackedError) -> BaseException:
    try:
        return unpack_error(packed)
    except BaseException as fault:  # its class forbids causes, say
        return TravelError(
            f"an error that can't travel: {packed.text} (it can't be made again here: {describe(fault)})"
        )
