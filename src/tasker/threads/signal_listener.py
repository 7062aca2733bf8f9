"""SignalListener: receives signals as soon as they arrive, in a thread of its own.

CPython calls the handler of a signal between two bytecode instructions of the main thread. If the signal arrives just
before that thread begins to wait for a lock, or if the system delivers it to another thread, it does not end the wait,
and the handler is called only after it, possibly never. But the interpreter writes the signal's number to the
descriptor of ``signal.set_wakeup_fd`` at once, whatever the main thread does. So signals are read from there.

There is one such descriptor for the whole process, and an event loop that gets or loses a signal handler replaces it. So
the handler looks whether the number has got here, and sees to it otherwise.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap
from types import FrameType
from typing import Any

from tasker.core.daemon import Daemon
from tasker.core.fork import disable_in_children

_active: list[SignalListener] = []
"""Those that have started and not closed."""


class SignalListener:
    """Calls ``received(signum)`` in its own thread for each of the signals, from ``start`` to ``close``, which are
    called in the main thread. The descriptor that was set before still gets every number."""

    def __init__(self, signums: Iterable[int], received: Callable[[int], object]) -> None:
        self._signums = tuple(signums)
        self._received = received
        self._handlers: dict[int, Any] = {}
        self._reading = self._writing = self._former = -1
        self._read_end: list[int] = []
        """The reading end of the pipe, while it is open."""
        self._write_end: list[int] = []
        self._wakes = False
        """Whether the interpreter was told to write there."""
        self._thread = Daemon(self._listen, "tasker-signals")

    # Ctrl-C may strike in both methods: ``signums`` need not contain SIGINT. So what is taken is noted by a step of an iterator in
    # C, behind which none strikes, and each step of ``close`` may be repeated.

    def start(self) -> None:
        """Installs the handlers and starts the thread. If it raises, nothing of that is left."""
        try:
            for self._reading, self._writing in starmap(os.pipe, ((),)):
                self._read_end, self._write_end = [self._reading], [self._writing]
            os.set_blocking(self._writing, False)  # required of a wakeup descriptor
            _active.append(self)
            disable_in_children(self, self._signums)
            # Before the handlers: a signal that arrives once its handler is installed is not lost.
            set_wakeup = partial(signal.set_wakeup_fd, warn_on_full_buffer=False)
            for self._former in map(set_wakeup, (self._writing,)):  # noqa: B020
                self._wakes = True
            for signum in self._signums:
                self._install(signum)
            self._thread.start()
        except BaseException:
            self.close()
            raise

    def _install(self, signum: int) -> None:
        self._handlers[signum] = signal.getsignal(signum)
        try:
            signal.signal(signum, self._handle)
        except (OSError, ValueError):  # there is no handler of this one
            del self._handlers[signum]
            raise

    def close(self) -> None:
        """Restores the handlers, after every signal that has arrived was received. Harmless if repeated."""
        try:
            self._close()
        except BaseException:  # interrupted, most likely by Ctrl-C: does what is left to do, then raises
            self._close()
            raise

    def _close(self) -> None:
        self._restore_handlers()
        if self._wakes:
            present = _exchange(self._former)
            if present not in (self._writing, self._former):  # an event loop's, which was not ours to replace
                _exchange(present)
            self._wakes = False
        if self in _active:
            _active.remove(self)
        # The writing end first: the thread reads to the end of the file, so nothing that has arrived is lost.
        _close_once(self._write_end)
        if self._thread.ident is not None:
            self._thread.join()
        _close_once(self._read_end)

    def _restore_handlers(self) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)

    def forked(self) -> None:
        """See ``core.fork``: a signal to the child is no signal to the parent, whose thread reads from the same pipe."""
        if self in _active:
            _active.remove(self)
            self._restore_handlers()
            self._handlers.clear()
            self._wakes = False
            signal.set_wakeup_fd(-1)
            _close_once(self._read_end)
            _close_once(self._write_end)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        """Keeps the signal from ending the process or raising ``KeyboardInterrupt``, and sees that it gets here."""
        present = _exchange(self._writing)
        if present >= 0:
            _exchange(present)
        if not self._gets(present):
            _pass_on(self._writing, bytes((signum,)))

    def _gets(self, descriptor: int) -> bool:
        """Returns whether the numbers that are written there get here: directly, or through other listeners."""
        for listener in reversed(_active):
            if descriptor == listener._writing:
                if listener is self:
                    return True
                descriptor = listener._former
        return False

    def _listen(self) -> None:
        while self._read_end and (arrived := os.read(self._reading, 64)):
            # For instance to an event loop of the main thread, which receives its signals in the same way.
            if self._former >= 0:
                _pass_on(self._former, arrived)
            for signum in arrived:
                if signum in self._handlers:
                    self._received(signum)


def _close_once(descriptors: list[int]) -> None:
    """Closes a descriptor that was not closed yet. In one step of C: its number may be that of another one a moment later."""
    if descriptors:
        for _ in map(os.close, map(list.pop, (descriptors,))):
            pass


def _exchange(descriptor: int) -> int:
    """Sets the descriptor to which the interpreter writes. Returns the one before; none is set if it is closed."""
    try:
        return signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    except (ValueError, OSError):
        return signal.set_wakeup_fd(-1)


def _pass_on(descriptor: int, arrived: bytes) -> None:
    try:
        os.write(descriptor, arrived)
    except OSError:  # full or closed: the interpreter, which wrote to it before, ignores that too
        pass
