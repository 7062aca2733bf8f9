"""The orders of the parent to its child: cancellations, and the order to terminate.

One thread, ``tasker-control``, reads them, and notices the end of the parent: then what runs is cancelled, and what does not
heed that is cut off after a grace. It calls no code of the user's, so none can hold up an order: the callbacks of a
cancellation run in a thread of their own, ``tasker-cancel``, which starts with the first cancellation.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable

from tasker.context import Context
from tasker.errors import TaskKilled
from tasker.process.protocol.messages import TERMINATE
from tasker.process.protocol.pickling import unpack
from tasker.process.protocol.wire import Wire

LAST = 1.0
"""Seconds for the end of the resource, after those that a running task is given, when the parent is gone."""
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


class Orders:
    """See the module's docstring."""

    def __init__(self, wire: Wire, grace: float, on_gone: Callable[[], object]) -> None:
        """``on_gone`` is called once nothing more comes: the parent is gone, or it has read the last message and closed
        the connection."""
        self._wire = wire
        self._grace = grace
        self._on_gone = on_gone
        self.current: TaskContext | None = None
        """Of the task that runs."""
        self.early: dict[int, BaseException] = {}
        """Cancellations of tasks that have not begun."""
        self._condemned = 0
        """The number of the task that the parent has ordered to be interrupted."""
        self._ending = False
        """Whether the parent has ordered that whatever runs is interrupted."""
        self._cancellations: queue.SimpleQueue[tuple[int, BaseException]] | None = None
        self._cancelling = threading.Lock()
        """Held while a cancellation is carried out, its callbacks included."""
        self._over = threading.Event()

    def start(self) -> None:
        """Starts to read."""
        threading.Thread(target=self._listen, name="tasker-control", daemon=True).start()

    def interrupts(self) -> bool:
        """Returns whether the parent has ordered that what runs now is interrupted."""
        current = self.current
        return self._ending or (current is not None and current.number == self._condemned)

    def settle(self) -> None:
        """Waits until a cancellation that has reached the context is carried out, to its last callback."""
        if self._cancelling.acquire(timeout=max(self._grace, LAST)):
            self._cancelling.release()

    def end(self) -> None:
        """The resource has ended: nothing is left to be cut off."""
        self._over.set()

    def close(self) -> None:
        """Closes the connection, in a process that is none of the parent's."""
        self._wire.data.close()

    def _listen(self) -> None:
        try:
            while True:
                number, cause = unpack(self._wire.receive_one())
                if cause is TERMINATE:
                    self._order_termination(number)
                else:
                    self._order_cancellation(number, cause)
        except (EOFError, OSError):
            pass
        self._on_gone()
        if not self._over.is_set():
            self._order_cancellation(0, TaskKilled("the process of the manager is gone"))
        if not self._over.wait(self._grace + LAST):
            os._exit(1)

    def _order_termination(self, number: int) -> None:
        if number:
            self._condemned = number
        else:
            self._ending = True
        # The order first, then ``current``. The main thread sets ``current`` first and then asks ``interrupts``, so at
        # least one of the two sees what the other did.
        if not number or self.interrupts():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _order_cancellation(self, number: int, cause: BaseException) -> None:
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
                del self.early[next(iter(self.early))]
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
