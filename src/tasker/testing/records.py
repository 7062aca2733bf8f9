"""What scripted resources record, and the resource that tasks get if the test brings none of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, Protocol, TypeVar

R = TypeVar("R")


class UsesRecorder(Protocol):
    """What a ``ScriptedResource`` needs of its maker."""

    def using(self, resource: Any) -> AbstractContextManager[Any]:
        """Records one use."""
        ...


class ResourceRecord(Generic[R]):
    """What became of one resource. Written by ``ScriptedResources``; to be read."""

    def __init__(self, number: int, resource: R) -> None:
        self.number: int = number
        """Which one it is, counted from 1."""
        self.resource: R = resource
        self.created_in: str = threading.current_thread().name
        """The name of the thread that made it."""
        self.destroyed_in: list[str] = []
        """The names of the threads that destroyed it: one for each destruction."""
        self.uses: int = 0
        """How often it was used, as far as ``using`` has counted."""
        self.users: int = 0
        """How many use it now."""
        self.most_users: int = 0
        """How many used it at a time at most. More than 1 is a fault, which ``check`` reports."""

    @property
    def alive(self) -> bool:
        """Whether its destruction has not begun."""
        return not self.destroyed_in

    @contextmanager
    def used(self, lock: threading.RLock, fault: list[str]) -> Iterator[R]:
        """Records one use, under ``lock``. What is wrong about it is raised as ``AssertionError`` and added to
        ``fault``."""
        with lock:
            self.uses += 1
            self.users += 1
            self.most_users = max(self.most_users, self.users)
            wrong = ""
            if self.destroyed_in:
                wrong = f"{self!r} was used after its destruction in {self.destroyed_in[0]}"
            elif self.users > 1:
                wrong = f"{self!r} was used by {self.users} users at a time"
            if wrong:
                fault.append(wrong)
        try:
            if wrong:
                raise AssertionError(wrong)
            yield self.resource
        finally:
            with lock:
                self.users -= 1

    def __repr__(self) -> str:
        return f"<resource {self.number}>"


class ScriptedResource:
    """A resource for tests whose tasks need no particular one."""

    def __init__(self, number: int, recorder: UsesRecorder) -> None:
        self.number: int = number
        """Which one it is, counted from 1."""
        self._recorder = recorder

    def use(self) -> AbstractContextManager[ScriptedResource]:
        """Returns a context manager for the time in which a task uses the resource. Entering it raises ``AssertionError``
        if another user has it, or after its destruction. Thread-safe."""
        return self._recorder.using(self)

    def __repr__(self) -> str:
        return f"<scripted resource {self.number}>"
