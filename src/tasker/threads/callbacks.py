"""CallbackThread: calls the callbacks of tasks that the supervisor's thread has ended, and drops what these tasks held.

A callback may take long, and may wait for another task of its manager. In the supervisor's thread, the first would hold up
the deadline of a kill, and the second would wait for ever. The same goes for the finalizers of arguments: that of a temporary
directory removes a tree. So that thread passes both on, to a thread that ends once there are no more. A stop waits for it; a kill
leaves it behind at its deadline.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tasker.core.slices import SLICE
from tasker.core.snapshots import snapshot

from .callback_runner import callback_runner
from .future_log import Callback
from .helpers import HelperThreads
from .ports import HelpedEngine

PATIENCE = 0.05
"""Seconds for which what tasks held waits for more of it: a thread for each task that fails would cost more than the task."""


class Held:
    """What tasks have held, in the place of one whose callbacks are due: it is dropped in its turn."""

    __slots__ = ("begun", "things")

    def __init__(self, things: list[Any]) -> None:
        self.things: list[Any] = things
        self.begun: bool = False
        """Whether it is being dropped."""


class CallbackThread:
    """Calls callbacks in the order in which they were passed on."""

    def __init__(self, engine: HelpedEngine, helpers: HelperThreads) -> None:
        self._engine = engine
        self._helpers = helpers
        self._due: deque[tuple[Any, Sequence[Callback]]] = deque()
        """The first one is being called, or is next."""
        self._running = False
        """Whether a thread calls them, or is about to."""
        self._thread: threading.Thread | None = None
        # Orders the end of the thread and the next callback. Reentrant, because a finalizer may end a task in the middle.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._due)

    def serve_this_thread(self) -> None:
        """Has the callbacks that would run in this thread, the supervisor's, passed on; and what tasks held, by ``pass_on_held``."""
        callback_runner.passed_on_to = self._pass_on
        callback_runner.held = callback_runner.held or []  # this is called again where no thread can be started

    @property
    def patience(self) -> float:
        """How long this thread, the supervisor's, may sleep, in seconds: until it passes on what it holds."""
        return PATIENCE if callback_runner.held else threading.TIMEOUT_MAX

    def pass_on_held(self, *, at_once: bool) -> None:
        """Passes on what tasks held that this thread has ended. To be called after each event. Unless ``at_once``, it waits
        for a thread that runs anyway, or for a slice."""
        held = callback_runner.held
        if held and (at_once or self._running or len(held) >= SLICE):
            callback_runner.held = []
            self._pass_on(Held(held), ())

    def _pass_on(self, future: Any, callbacks: Sequence[Callback]) -> None:
        with self._lock:
            self._due.append((future, callbacks))
            if self._running:
                return
            # Before the thread starts: a finalizer that ends a task meanwhile must not start another one.
            self._running = True
            with suppress(Exception):  # no more threads, as while the interpreter exits
                self._thread = self._helpers.start(self._call_all, "callbacks", "a callback")
                return
        callback_runner.passed_on_to = None
        try:
            self._call_all()
        finally:
            self.serve_this_thread()

    def _call_all(self) -> None:
        while True:
            with self._lock:
                if not self._due:
                    self._running, self._thread = False, None
                    break
                future, callbacks = self._due[0]
            try:
                if type(future) is Held:
                    future.begun = True
                    future.things.clear()
                callback_runner.call(future, callbacks)
            except BaseException as error:  # of no callback, which is guarded: no memory, say
                self._engine.log.fault(_named(future), error)
            if self._engine.is_forked:  # by a callback, and this is the child
                return
            del self._due[0], future, callbacks
        if self._engine.door:
            self._engine.check_drained()

    def abandon(self) -> list[str]:
        """Stops waiting for the thread. Returns what it has left to do, for the report, once; it goes on all the same."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return []
            self._helpers.forget(thread)
            due = _worth_naming(snapshot(self._due))
        left = [_named(first) for first in due[:1]]
        if len(due) > 1:
            left.append(f"the callbacks of {len(due) - 1} other tasks")
        return left

    def forked(self) -> None:
        """In a forked child, the thread does not exist, and the callbacks are the parent's."""
        self._lock = threading.RLock()
        self._due = deque()


def _worth_naming(due: list[tuple[Any, Sequence[Callback]]]) -> list[Any]:
    """Returns whose callbacks are due, and what is being dropped. What is yet to be dropped is not worth a word."""
    return [future for future, _ in due if type(future) is not Held or future.begun]


def _named(due: Any) -> str:
    return "a finalizer of an argument" if type(due) is Held else f"the callback of {due.label}"
