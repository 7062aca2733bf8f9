"""How a worker that waits for tasks learns that its session is dead.

Idle workers sleep in one queue of tokens, and none of them can be woken by name. So a token of its own kind is put there: a
worker that takes it and whose session lives passes it on, and stands aside until the one that is meant has had it.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Protocol


class Member(Protocol):
    """A worker's host."""

    def session_dead(self) -> bool:
        """Whether its session is gone while the worker lives."""


class TargetedWakeup:
    """For the workers of one manager. Thread-safe."""

    def __init__(self, tokens: queue.SimpleQueue[object], check_session: object) -> None:
        """``check_session`` is the kind of token that wakes a worker with a dead session."""
        self._tokens = tokens
        self._check_session = check_session
        self._changed = threading.Condition()
        self._turn = 0
        """Grows when a wakeup is asked for, and when one has reached its worker."""
        self._waiting: set[Any] = set()
        self._dead: set[Any] = set()
        """Those of the waiting ones whose session is dead."""

    def next_token(self, member: Member) -> object:
        """Waits for a token of another kind and returns it; raises ``EOFError`` as soon as the member's session is
        dead."""
        with self._changed:
            self._waiting.add(member)
        token: object = None
        try:
            while True:
                # After ``_waiting.add``: a session that dies later than this look finds its member waiting.
                if member.session_dead():
                    raise EOFError
                token = self._tokens.get()
                if token is not self._check_session:
                    break
                self._pass_on(member)
        finally:
            with self._changed:
                self._waiting.discard(member)
                if member in self._dead:
                    self._dead.discard(member)
                    self._turn += 1
                    self._changed.notify_all()
        if member.session_dead():
            # The token stands for a task, which another worker has to take.
            self._tokens.put(token)
            raise EOFError
        return token

    def wake(self, member: Member) -> None:
        """Wakes a member whose session is dead, if it waits for a token. If it does not, it looks before it does."""
        with self._changed:
            if member not in self._waiting:
                return
            self._dead.add(member)
            self._turn += 1
            self._changed.notify_all()
        self._tokens.put(self._check_session)

    def _pass_on(self, member: Member) -> None:
        with self._changed:
            if not self._dead or member.session_dead():
                return
            turn = self._turn
            self._tokens.put(self._check_session)
            # Aside until something changed: this worker, awake, would else take the token again and again, ahead of
            # the one that is meant.
            self._changed.wait_for(lambda: self._turn != turn or member.session_dead())
