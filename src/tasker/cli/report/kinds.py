"""Failures by kind: the type of the error and the first line of its message, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasker.watch.telling import first_line

MOST_KINDS = 400
SHOWN_INDICES = 5
_LONGEST_NAME = 200
_LONGEST_MESSAGE = 300
_LONGEST_TRACEBACK = 6_000


@dataclass(slots=True)
class Kind:
    """Failures that are alike."""

    type: str
    message: str
    """The first line; "" for all messages of a type that were too rare to be kept."""
    is_rest: bool = False
    """Whether it is those."""
    count: int = 0
    """Items that have ended with it."""
    retried: int = 0
    """Attempts that have ended with it, of items that failed all the same."""
    indices: list[int] = field(default_factory=list)
    """Of the first items."""
    traceback: str = ""
    """Of the first one."""

    @property
    def weight(self) -> int:
        return self.count + self.retried


class Kinds:
    """For one thread."""

    def __init__(self, most: int = MOST_KINDS) -> None:
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._rest: dict[str, Kind] = {}
        self._most = most

    def add(self, index: int, error: Mapping[str, Any]) -> None:
        """Takes the error of an item that has failed."""
        kind = self._kind(error)
        kind.count += 1
        if len(kind.indices) < SHOWN_INDICES:
            kind.indices.append(index)
        if not kind.traceback and not kind.is_rest:
            kind.traceback = str(error.get("traceback") or "")[-_LONGEST_TRACEBACK:]

    def add_retried(self, error: Any) -> None:
        """Takes the error of an earlier attempt; of what is none, nothing."""
        if isinstance(error, dict):
            self._kind(error).retried += 1

    def _kind(self, error: Mapping[str, Any]) -> Kind:
        name, message = str(error.get("type")), str(error.get("message") or "")
        cause = error.get("cause")
        if isinstance(cause, dict):
            # After the last retry: what it says itself is only how many there were.
            name, message = f"{name} ({cause.get('type')})", str(cause.get("message") or "")
        name = name[:_LONGEST_NAME]
        key = name, first_line(message, _LONGEST_MESSAGE)
        found = self._kinds.get(key)
        if found is None:
            if len(self._kinds) >= self._most:
                self._give_up_the_rarest()
            found = self._kinds[key] = Kind(*key)
        return found

    def _give_up_the_rarest(self) -> None:
        """Adds the rarer half to the rest of their types: a message with a number in it must not keep others out."""
        kinds = sorted(self._kinds.values(), key=lambda one: one.weight)
        for kind in kinds[: (len(kinds) + 1) // 2]:
            del self._kinds[kind.type, kind.message]
            rest = self._rest_of(kind.type)
            rest.count += kind.count
            rest.retried += kind.retried
            rest.indices = (rest.indices + kind.indices)[:SHOWN_INDICES]

    def _rest_of(self, name: str) -> Kind:
        if name not in self._rest and len(self._rest) >= self._most:
            name = "other types"  # of which a job may make one for each item
        return self._rest.setdefault(name, Kind(name, "", is_rest=True))

    def all(self) -> list[Kind]:
        """Returns the kinds, the most frequent one first."""
        return sorted((*self._kinds.values(), *self._rest.values()), key=lambda one: (-one.count, -one.retried))
