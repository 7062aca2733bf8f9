"""How a worker that waits for tasks hears that its child is dead.

Idle workers sleep in one queue of tokens, and nobody can wake a certain one of them. So a token ``CHECK_SESSION`` is put there: the
worker that takes it and whose child lives passes it on, and stands aside until the one that is meant has had it.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

from tasker.threads.queue import CHECK_SESSION, TaskQueue


class Member(Protocol):
    """A worker's host."""

    def session_dead(self) -> bool:
        """Whether its child is gone."""


class TargetedWakeup:
    """For the workers of one manager. Thread-safe."""

    def __init__(self, queue: TaskQueue) -> None:
        self._tokens = queue.tokens
        self._changed = threading.Condition()
        self._turn = 0
        self._waiting: set[Any] = set()
        self._missing: set[Any] = set()
        """Those that wait for a token though their child is dead."""

    def next_token(self, member: Member) -> object:
        """A token of a task, or ``RETIRE``; ``EOFError`` as soon as the member's child is dead."""
        with self._changed:
            self._waiting.add(member)
        token: object = None
        try:
            while True:
                if member.session_dead():
                    raise EOFError
                token = self._tokens.get()
                if token is not CHECK_SESSION:
                    break
                self._pass_on(member)
        finally:
            with self._changed:
                self._waiting.discard(member)
                if member in self._missing:
                    self._missing.discard(member)
                    self._turn += 1
                    self._changed.notify_all()
        if member.session_dead():
            self._tokens.put(token)
            raise EOFError
        return token

    def call(self, member: Member) -> None:
        """The member's child is dead: wakes it, if it waits for a token. If it does not, it will see for itself."""
        with self._changed:
            if member not in self._waiting:
                return
            self._missing.add(member)
            self._turn += 1
            self._changed.notify_all()
        self._tokens.put(CHECK_SESSION)

    def _pass_on(self, member: Member) -> None:
        with self._changed:
            if not self._missing or member.session_dead():
                return
            turn = self._turn
            self._tokens.put(CHECK_SESSION)
            self._changed.wait_for(lambda: self._turn != turn or member.session_dead())
