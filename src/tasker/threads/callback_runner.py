"""Calls the callbacks of outcomes in the thread that sets them, in an order that keeps the stack short and no outcome waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .future_log import Callback, Logged

_MAX_DEPTH = 20


class _CallbackRunner(threading.local):
    """Calls callbacks, nested up to a depth and then one after the other.

    A callback may end the next task, whose callback ends the one after it, and so on. A chain as long as the recursion
    limit would fail in the middle of an outcome.
    """

    passed_on_to: Callable[[Any, Sequence[Callback]], object] | None = None
    """Takes the callbacks that this thread must not call itself, with their future; None if it may call them."""
    held: list[Any] | None = None
    """Takes what a task that has ended held, where its finalizers must not run in this thread; None if they may."""
    depth: int = 0
    postponed: deque[tuple[Logged, Sequence[Callback]]] | None = None
    """The outcomes whose callbacks wait until a deeper call returns; None up to ``_MAX_DEPTH``."""

    def call(self, future: Logged, callbacks: Sequence[Callback]) -> None:
        if self.passed_on_to is not None:
            self.passed_on_to(future, callbacks)
            return
        if self.postponed is not None:
            self.postponed.append((future, callbacks))
            return
        self.depth += 1
        try:
            if self.depth < _MAX_DEPTH:
                for callback in callbacks:
                    callback.notify(future)
            else:
                self._call_in_sequence(future, callbacks)
        finally:
            self.depth -= 1

    def after(self, call: Callable[[], object]) -> None:
        """Makes a call that may end several tasks, and calls their callbacks after it: one that takes long, or waits for another of
        these tasks, then finds that all of them have ended."""
        if self.passed_on_to is not None or self.postponed is not None:  # they are called later anyway
            call()
            return
        due = self.postponed = deque()
        try:
            call()
        finally:
            self.postponed = None
            try:
                while True:  # docs/decisions/0043
                    if not due:
                        break
                    self.call(*due[0])
                    del due[0]
            finally:
                _pass_on(due, self.call)

    def _call_in_sequence(self, future: Logged, callbacks: Sequence[Callback]) -> None:
        postponed = self.postponed = deque([(future, callbacks)])
        try:
            while True:  # docs/decisions/0043
                if not postponed:
                    break
                future, callbacks = postponed[0]
                for callback in callbacks:
                    callback.notify(future)
                del postponed[0]
        finally:
            self.postponed = None
            _pass_on(postponed, self.call)


def _pass_on(due: deque[tuple[Logged, Sequence[Callback]]], call: Callable[[Logged, Sequence[Callback]], None]) -> None:
    """Has the manager's own thread call what is left if this thread was interrupted. What was called is not called again."""
    for future, callbacks in due:
        future._owner.soon(partial(call, future, callbacks))


callback_runner: _CallbackRunner = _CallbackRunner()
