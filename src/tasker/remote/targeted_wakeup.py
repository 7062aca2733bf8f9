"""How a worker that waits for tasks learns that its session is dead, or that it has to renew it.

Idle workers sleep in one queue of tokens, and none of them can be woken by name. So a token of its own kind is put there: a
worker that takes it and is not meant passes it on, and stands aside until the one that is meant has had it.
"""

from __future__ import annotations

import queue
from typing import Any, Protocol

from tasker.core.monitor import monitor


class Called(Exception):
    """The worker that waits for a token has to look at itself first."""


class Member(Protocol):
    """A worker's host."""

    def called(self) -> bool:
        """Whether it has to stop waiting: its session is gone while the worker lives, or has to be renewed."""


class TargetedWakeup:
    """For the workers of one manager. Thread-safe."""

    def __init__(self, tokens: queue.SimpleQueue[object], check_session: object) -> None:
        """``check_session`` is the kind of token that wakes a worker that was called."""
        self._tokens = tokens
        self._check_session = check_session
        self._lock, self._changed = monitor()
        self._turn = 0
        """Grows when a wakeup is asked for, and when one has reached its worker."""
        self._waiting: set[Any] = set()
        self._meant: set[Any] = set()
        """Those of the waiting ones that are called."""

    def next_token(self, member: Member, timeout: float | None = None) -> object:
        """Waits for a token of another kind and returns it; raises ``Called`` as soon as the member is called."""
        token: object = None
        try:
            with self._lock:
                self._waiting.add(member)
            while True:
                # After ``_waiting.add``: a call that comes later than this look finds it waiting.
                if member.called():
                    raise Called
                token = self._tokens.get(True, timeout)
                if token is not self._check_session:
                    break
                self._pass_on(member)
        finally:
            self.forget(member)
        if member.called():
            # The token stands for a task, which another worker has to take.
            self._tokens.put(token)
            raise Called
        return token

    def forget(self, member: Member) -> None:
        """A member waits no more, or has ended. Harmless when repeated."""
        with self._lock:
            self._waiting.discard(member)
            if member in self._meant:
                self._meant.discard(member)
                self._turn += 1
                self._changed.notify_all()

    def wake(self, member: Member) -> None:
        """Wakes a member that is called, if it waits for a token. If it does not, it looks before it does."""
        with self._lock:
            if member not in self._waiting:
                return
            self._meant.add(member)
            self._turn += 1
            self._changed.notify_all()
        self._tokens.put(self._check_session)

    def _pass_on(self, member: Member) -> None:
        with self._lock:
            if not self._meant or member.called():
                return
            turn = self._turn
            self._tokens.put(self._check_session)
            # Aside until something changed: this worker, awake, would else take the token again and again, ahead of
            # the one that is meant.
            self._changed.wait_for(lambda: self._turn != turn or member.called())
