"""Signals that a terminal sends to all of its processes, in children and in the process that forks them: the parent decides."""

from __future__ import annotations

import signal

OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)
"""Ctrl-C, and the end of a terminal."""


def heed_no_terminal() -> None:
    """Has these signals do nothing here. They are not ignored, unless they were before (nohup): the programs that a task starts
    would inherit that."""
    for number in OF_TERMINALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _pass)
            signal.siginterrupt(number, False)  # C code goes on where it waits
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OF_TERMINALS)


def _pass(*_: object) -> None:
    """A handler."""
