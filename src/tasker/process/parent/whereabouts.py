"""Asks a child where it is, see ``child.whereabouts``."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Protocol

from tasker.process.protocol.whereabouts import SIGNAL, answered, dumped

from .fork_server_client import send_signal

_POLITE = 0.2
"""Seconds that the child has to answer by itself, before the signal is sent."""
_LOOK = 0.05
"""Seconds between two looks whether the session was closed meanwhile."""
_TURN = 0.01
"""Seconds between two looks whether the question of another thread is over."""
_READ = 65536


class Asked(Protocol):
    """The part of a session that this uses."""

    lock: threading.RLock
    closed: bool

    @property
    def pid(self) -> int: ...
    @property
    def dead(self) -> bool: ...


class Question:
    """Asks one child, as often as wanted. Thread-safe; one thread after the other."""

    def __init__(self, session: Asked, control: socket.socket, ask: Callable[[int], object]) -> None:
        """``control`` is the socket that the answers come through; ``ask`` sends a question with this number."""
        self._session = session
        self._control = control
        self._ask = ask
        self._number = 0
        self._lock = threading.Lock()
        self._taken_until = 0.0
        """When the question that is being asked is over. A lock that is held meanwhile would stay so where Ctrl-C strikes."""
        self._read = b""

    def stack(self, timeout: float) -> str | None:
        """Returns where the child is; None if it has not said so in ``timeout`` seconds, or is gone."""
        end = monotonic() + timeout
        while not self._begin(end):
            if (left := end - monotonic()) <= 0:
                return None
            sleep(min(left, _TURN))
        try:
            return self._answer(end)
        finally:
            self._read = b""
            self._taken_until = 0.0

    def _begin(self, end: float) -> bool:
        with self._lock:
            if monotonic() < self._taken_until:
                return False
            self._taken_until = end
            return True

    def _answer(self, end: float) -> str | None:
        while self._receive():  # what came too late for the last question
            self._read = b""
        self._number = number = self._number + 1
        self._ask(number)
        polite = min(end, monotonic() + _POLITE)
        found = self._until(polite, lambda: answered(self._read, number))
        if found is not None or not self._signalled():
            return found
        found = self._until(end, lambda: answered(self._read, number) or dumped(self._read))
        return dumped(self._read, whole=False) if found is None else found

    def _signalled(self) -> bool:
        session = self._session
        with session.lock:
            if session.closed or session.dead or not session.pid:
                return False
            send_signal(session.pid, SIGNAL)
            return True

    def _until(self, end: float, find: Callable[[], str | None]) -> str | None:
        while (found := find()) is None:
            left = end - monotonic()
            if left <= 0 or self._gone():
                return None
            if not self._receive():
                self._wait(min(left, _LOOK))
        return found

    def _gone(self) -> bool:
        return self._session.closed or self._session.dead

    def _receive(self) -> bool:
        """Reads what is there; returns whether it was something."""
        with self._session.lock:  # ``close`` takes it first: the number of a closed descriptor may be another file's
            if self._session.closed:
                return False
            try:
                read = self._control.recv(_READ)
            except OSError:  # there is nothing, or the child is gone
                return False
        self._read += read
        return bool(read)

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        with self._session.lock:
            if self._session.closed:
                return
            poll.register(self._control, select.POLLIN)
        poll.poll(seconds * 1000)  # of another file, if it is closed meanwhile: that costs a look
