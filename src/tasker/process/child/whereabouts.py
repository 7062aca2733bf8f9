"""Says where the child is, when the parent asks for it.

Two ways, because each has its gap. The control thread writes the stack of the main thread or, of a coroutine that waits, that of
the coroutine, which no signal handler could see. But a task that holds the interpreter in C code keeps that thread from running.
Then the parent sends ``SIGNAL``, and ``faulthandler`` writes the stack of the main thread from within the signal handler of C.

Both write to the control socket, on which nothing else goes this way.
"""

from __future__ import annotations

import faulthandler
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from tasker.process.protocol.whereabouts import SIGNAL, answer


class Whereabouts:
    """See the module's docstring. ``running`` returns the coroutine that runs, or None."""

    def __init__(self, control: socket.socket, running: Callable[[], Any]) -> None:
        self._control = control
        self._running = running
        self._registered = False

    def offer(self) -> None:
        """Has the signal answered, unless a module that was loaded before has a use for it. In the main thread."""
        if signal.getsignal(SIGNAL) in (signal.SIG_DFL, signal.SIG_IGN):
            faulthandler.register(SIGNAL, self._control.fileno(), all_threads=False)
            self._registered = True

    def withdraw(self) -> None:
        """Ends that, in a process that is none of the parent's."""
        if self._registered:
            faulthandler.unregister(SIGNAL)

    def tell(self, number: int) -> None:
        """Answers a question of the parent's. In the control thread."""
        from tasker.core.stacks import stack_of_awaitable, stack_of_thread  # noqa: PLC0415  few children are asked

        running = self._running()
        stack = "" if getattr(running, "cr_running", True) else stack_of_awaitable(running)
        stack = stack or stack_of_thread(threading.main_thread().ident)
        try:
            # In one piece, since ``faulthandler`` may write at the same time; and never waiting, for a parent that has gone
            # on meanwhile reads nothing.
            self._control.send(answer(number, stack), socket.MSG_DONTWAIT)
        except OSError:
            pass
