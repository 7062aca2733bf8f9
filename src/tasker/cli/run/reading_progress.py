"""Progress while --resume reads the results that are there, before the run begins."""

from __future__ import annotations

import time
from typing import Protocol

from .progress import is_live_terminal, print_stderr


class ReadingProgress(Protocol):
    """Shows how much of a file has been read. Used by the main thread alone."""

    def tell(self, bytes_read: int) -> None: ...
    def close(self) -> None: ...


class SilentReading:
    """Shows nothing."""

    def tell(self, bytes_read: int) -> None: ...
    def close(self) -> None: ...


class LineReading:
    """One line every `interval` seconds."""

    def __init__(self, name: str, size: int, interval: float) -> None:
        self._name = name
        self._size = size
        self._interval = interval
        self._next = time.monotonic() + interval

    def tell(self, bytes_read: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._interval
            print_stderr(f"tasker run: reading the results in {self._name}: {100 * bytes_read / self._size:.0f}%")

    def close(self) -> None: ...


def reading_progress(name: str, size: int, interval: float, *, quiet: bool) -> ReadingProgress:
    """Returns what shows the progress of reading a file of `size` bytes: a bar on a terminal where rich is installed, or else a
    line every `interval` seconds."""
    if quiet or not size:
        return SilentReading()
    if is_live_terminal():
        try:
            from .progress_rich import ReadingBar
        except ImportError:
            return LineReading(name, size, interval)
        return ReadingBar(name, size)
    return LineReading(name, size, interval)
