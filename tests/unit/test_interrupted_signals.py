"""Ctrl-C at each moment at which a listener of other signals starts or closes."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from support.waiting import wait_until
from tasker.threads import signal_listener
from tasker.threads.signal_listener import SignalListener
from unit.interrupts import each_moment

_STEPS = [
    SignalListener.start,
    SignalListener._install,
    SignalListener.close,
    SignalListener._close,
    SignalListener._restore_handlers,
    signal_listener._exchange,
    signal_listener._close_once,
]


def is_open(descriptor: int) -> bool:
    """Whether a descriptor is open."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_nothing_is_left() -> None:
    """No handler, no descriptor and no thread, wherever it was struck: the program has its signals again."""
    before = signal.getsignal(signal.SIGUSR1), signal.set_wakeup_fd(-1)
    made: list[Any] = []

    def start_and_close() -> None:
        made.append(SignalListener([signal.SIGUSR1], lambda signum: None))
        try:
            made[-1].start()
        finally:
            try:
                made[-1].close()
            except BaseException:
                made[-1].close()
                raise

    struck = 0
    try:
        for where, _, error in each_moment(start_and_close, *_STEPS):
            struck += where is not None
            assert where is None or isinstance(error, KeyboardInterrupt)
            listener = made.pop()
            assert signal.getsignal(signal.SIGUSR1) == before[0], where
            assert signal.set_wakeup_fd(-1) == -1, where
            assert listener not in signal_listener._active
            assert not listener._read_end, where
            assert not listener._write_end, where
            wait_until(lambda thread=listener._thread: not thread.is_alive())
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.set_wakeup_fd(before[1])
    assert struck > 20


def test_a_signal_that_has_no_handler() -> None:
    """The error is raised, and what was begun for the others is taken back."""
    before = signal.getsignal(signal.SIGUSR1)
    listener = SignalListener([signal.SIGUSR1, signal.SIGKILL], lambda signum: None)
    with pytest.raises(OSError):
        listener.start()
    assert signal.getsignal(signal.SIGUSR1) == before
    assert listener not in signal_listener._active
    assert not is_open(listener._reading)
    assert not is_open(listener._writing)
    assert "tasker-signals" not in [thread.name for thread in threading.enumerate()]
