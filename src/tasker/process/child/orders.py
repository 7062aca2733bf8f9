"""The orders of the parent to its child: cancellations, the order to terminate, and the question where it is.

One thread, ``tasker-control``, reads them, and notices the end of the parent: then what runs is cancelled, and what does not
heed that is cut off after a grace. It calls no code of the user's, so none can hold up an order, see ``cancellations``.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from tasker.core.flag import Flag
from tasker.errors import TaskKilled
from tasker.process.protocol.messages import FORGET, TERMINATE
from tasker.process.protocol.pickling import unpack
from tasker.process.protocol.shared_values import forget
from tasker.process.protocol.whereabouts import WHERE
from tasker.process.protocol.wire import Wire

from .cancellations import Cancellations
from .output import outlive_parent
from .whereabouts import Whereabouts

LAST = 1.0
"""Seconds for the end of the resource, after those that a running task is given, when the parent is gone."""


class Orders(Cancellations):
    """See the module's docstring."""

    def __init__(self, wire: Wire, grace: float, on_gone: Callable[[], object], running: Callable[[], Any]) -> None:
        """``on_gone`` is called once nothing more comes: the parent is gone, or it has read the last message and closed
        the connection. ``running`` returns the coroutine that runs, or None."""
        super().__init__()
        self._wire = wire
        self._grace = grace
        self._on_gone = on_gone
        self._condemned = 0
        """The number of the task that the parent has ordered to be interrupted."""
        self._ending = False
        """Whether the parent has ordered that whatever runs is interrupted."""
        self._over = Flag()
        self._whereabouts = Whereabouts(wire.data, running)

    def start(self) -> None:
        """Starts to read. In the main thread."""
        self._whereabouts.offer()
        threading.Thread(target=self._listen, name="tasker-control", daemon=True).start()

    def interrupts(self) -> bool:
        """Returns whether the parent has ordered that what runs now is interrupted."""
        current = self.current
        return self._ending or (current is not None and current.number == self._condemned)

    def end(self) -> None:
        """The resource has ended: nothing is left to be cut off."""
        self._over.set()

    def close(self) -> None:
        """Closes the connection, in a process that is none of the parent's."""
        self._whereabouts.withdraw()
        self._wire.data.close()

    def _listen(self) -> None:
        try:
            while True:
                number, cause = unpack(self._wire.receive_one())
                if cause is TERMINATE:
                    self._order_termination(number)
                elif type(cause) is str and cause == FORGET:
                    forget(number)
                elif type(cause) is str and cause == WHERE:
                    self._whereabouts.tell(number)
                else:
                    self.order(number, cause)
        except (EOFError, OSError):
            pass
        if not self._over.is_set():
            outlive_parent()
        self._on_gone()
        if not self._over.is_set():
            self.order(0, TaskKilled("the process of the manager is gone"))
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
