"""Cancellations of tasks, in the process of the resource.

The thread that brings it cancels the context and wakes those that wait. Callbacks are the user's and may take long, even longer
than their task; so those of a task run in a thread of their own, ``tasker-cancel``, and hold up no other cancellation.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from tasker.context import Context, nothing_due
from tasker.errors import TaskKilled

_MOST_EARLY = 10_000


class TaskContext(Context):
    """The context of the task that runs."""

    __slots__ = ("interrupt", "killed", "number")

    def __init__(self, root: Context, number: int) -> None:
        super().__init__(root)
        self.number: int = number
        self.interrupt: Callable[[], object] | None = None
        """Cancels the coroutine of an asynchronous task. From any thread."""
        self.killed: bool = False


class Cancellations:
    """See the module's docstring. The thread of the resource sets ``current`` and reads ``early``; ``order`` may be called from
    any other one."""

    def __init__(self) -> None:
        self.current: TaskContext | None = None
        """Of the task that runs."""
        self.early: dict[int, BaseException] = {}
        """Cancellations of tasks that have not begun."""
        self._cancelling = threading.Lock()
        """Held while a cancellation is carried out, its callbacks excluded."""
        self._calling: list[threading.Thread] = []
        """What calls callbacks."""

    def settle(self, seconds: float) -> None:
        """Waits until a cancellation that has reached the context is carried out, to its last callback, so long at most."""
        end = monotonic() + seconds
        if self._cancelling.acquire(timeout=seconds):
            self._cancelling.release()
            for thread in self._calling.copy():
                thread.join(max(0.0, end - monotonic()))

    def order(self, number: int, cause: BaseException) -> None:
        """Cancels a task; 0: whatever runs. Calls no code of the user's."""
        with self._cancelling:
            self._carry_out(number, cause)

    def _carry_out(self, number: int, cause: BaseException) -> None:
        if number:
            self.early[number] = cause
            if len(self.early) > _MOST_EARLY:  # of tasks that had ended when their cancellation came
                # A copy is made in one step, while the thread of the resource takes entries out.
                for oldest in list(self.early)[: _MOST_EARLY // 2]:
                    self.early.pop(oldest, None)
        current = self.current
        if current is None or number not in (0, current.number):
            return
        self.early.pop(number, None)
        if isinstance(cause, TaskKilled):
            # A kill comes twice, to whatever runs and to this task. A coroutine that cleans up must not be struck twice.
            if current.killed:
                return
            current.killed = True
        call = current._strike(cause)
        if call is nothing_due:
            self._finish(current, call)
            return

        def call_back() -> None:
            try:
                self._finish(current, call)
            finally:
                self._calling.remove(thread)

        thread = threading.Thread(target=call_back, name="tasker-cancel", daemon=True)
        self._calling.append(thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            call_back()

    @staticmethod
    def _finish(context: TaskContext, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException:  # raised by a callback
            sys.excepthook(*sys.exc_info())
        if context.interrupt is not None:
            with suppress(RuntimeError):  # the task has ended, and its loop is closed
                context.interrupt()
