"""Cancellations of tasks, in the process of the resource.

The callbacks of a cancellation are the user's and may take long; so they run in a thread of their own, ``tasker-cancel``, which
starts with the first cancellation.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable

from tasker.context import Context
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
        self._cancellations: queue.SimpleQueue[tuple[int, BaseException]] | None = None
        self._cancelling = threading.Lock()
        """Held while a cancellation is carried out, its callbacks included."""

    def settle(self, seconds: float) -> None:
        """Waits until a cancellation that has reached the context is carried out, to its last callback, so long at most."""
        if self._cancelling.acquire(timeout=seconds):
            self._cancelling.release()

    def order(self, number: int, cause: BaseException) -> None:
        """Has a task cancelled; 0: whatever runs."""
        if self._cancellations is None:
            self._cancellations = queue.SimpleQueue()
            threading.Thread(target=self._cancel_all, name="tasker-cancel", daemon=True).start()
        self._cancellations.put((number, cause))

    def _cancel_all(self) -> None:
        assert self._cancellations is not None
        while True:
            cancellation = self._cancellations.get()
            with self._cancelling:
                self._carry_out(*cancellation)
            del cancellation

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
        try:
            current.cancel(cause)
        except BaseException:  # raised by a callback
            sys.excepthook(*sys.exc_info())
        if current.interrupt is not None:
            current.interrupt()
