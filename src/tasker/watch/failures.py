"""Failures: errors of tasks, grouped by their type and the first line of their message, each with its last tasks' attempts."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from tasker.control import notices as say

from .telling import first_line

MOST_GROUPS = 100
MOST_STORIES = 5
_MOST_OPEN = 1_000
_LONGEST = 300
_NUMBER = re.compile(r"\btask #\d+")
"""By which the library's own errors call a task: each would be a group of its own."""


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt of a task that has failed. Immutable."""

    at: float
    worker: str
    error: str


@dataclass(frozen=True, slots=True)
class Story:
    """The attempts of one task that has failed for good; the earliest ones are missing if they were too long ago. Immutable."""

    task: str
    attempts: int
    failed: tuple[FailedAttempt, ...]


@dataclass(slots=True)
class Group:
    """All failures with one type and first line."""

    type: str
    message: str
    count: int = 0
    """Tasks that have ended with it."""
    retried: int = 0
    """Attempts that have ended with it, and were followed by another."""
    first: float = 0.0
    last: float = 0.0
    stories: deque[Story] = field(default_factory=lambda: deque(maxlen=MOST_STORIES))


def split(error: str) -> tuple[str, str]:
    """Returns the type and the first line of the message of ``Type: message``, without the number of the task."""
    kind, _, message = error.partition(":")
    return kind[:_LONGEST], _NUMBER.sub("task", first_line(message, _LONGEST))


class Failures:
    """Not thread-safe: the owner guards it. Keeps the groups that were seen last."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[str, str], Group] = OrderedDict()
        self._open: OrderedDict[tuple[int, str], list[FailedAttempt]] = OrderedDict()

    def add(self, event: say.TaskEvent) -> None:
        """Takes an event of a task."""
        group = self._group(event)
        attempt = FailedAttempt(event.at, event.worker, event.error[:_LONGEST])
        key = (event.id, event.task)
        if isinstance(event, say.TaskRetried):
            group.retried += 1
            self._open.setdefault(key, []).append(attempt)
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
            return
        group.count += 1
        group.stories.appendleft(Story(event.task, event.attempts, (*self._open.pop(key, []), attempt)[-20:]))

    def _group(self, event: say.TaskEvent) -> Group:
        key = split(event.error)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key, first=event.at)
        group.last = event.at
        self._groups.move_to_end(key)
        if len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)
        return group

    def groups(self) -> list[Group]:
        """Returns the groups, the one that was seen last first."""
        return list(reversed(self._groups.values()))
