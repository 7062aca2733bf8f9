"""Redirect: what the program prints to the terminal meanwhile appears above the view, and does not tear it."""

from __future__ import annotations

import io
import os
import sys
import threading
from threading import get_ident
from typing import TextIO, cast

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text


class _Above(io.TextIOBase):
    """Stands in for a stream of the program. Thread-safe, which rich's own ``FileProxy`` is not: what several threads print at once
    may be lost there. Here the lines of each thread stay whole.

    Wrapped to the width of the terminal, as rich does with all that it prints; colours are kept.
    """

    def __init__(self, console: Console, stream: TextIO, lock: threading.RLock) -> None:
        self._console = console
        self._stream = stream
        self._lock = lock
        self._process = os.getpid()
        self._begun: dict[int, str] = {}
        """By thread: a line without its end."""

    def write(self, text: str) -> int:
        if os.getpid() != self._process:  # a fork: the view is its parent's
            return self._stream.write(text)
        *lines, rest = (self._begun.pop(get_ident(), "") + text).split("\n")
        if rest:
            self._begun[get_ident()] = rest
        if lines:
            self._print("\n".join(lines))
        return len(text)

    def flush(self) -> None:
        if os.getpid() != self._process:
            self._stream.flush()
        elif rest := self._begun.pop(get_ident(), ""):
            self._print(rest)

    def end(self) -> None:
        """Prints what threads have left without an end."""
        while self._begun:
            self._print(self._begun.popitem()[1])

    def _print(self, text: str) -> None:
        shown = Text("\n").join(AnsiDecoder().decode_line(line) for line in text.split("\n"))
        with self._lock:
            self._console.print(shown)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    @property
    def buffer(self) -> object:
        """For those who write bytes, which do tear the view."""
        return self._stream.buffer


class Redirect:
    """Replaces ``sys.stdout`` and ``sys.stderr``, as far as they are terminals, from ``begin`` to ``end``.

    ``lock``: held for each print. rich notes how many rows it has drawn before it writes them, so that a print of another thread in
    between would remove the wrong number.
    """

    def __init__(self, console: Console, lock: threading.RLock) -> None:
        self._console = console
        self._lock = lock
        self._replaced: dict[str, tuple[TextIO, _Above]] = {}

    def begin(self) -> None:
        """Replaces them."""
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if is_terminal(stream):
                proxy = _Above(self._console, stream, self._lock)
                self._replaced[name] = (stream, proxy)
                setattr(sys, name, cast("TextIO", proxy))

    def end(self) -> None:
        """Puts them back, unless somebody else has replaced them meanwhile. Harmless if repeated."""
        replaced, self._replaced = self._replaced, {}
        for name, (stream, proxy) in replaced.items():
            if getattr(sys, name) is proxy:
                setattr(sys, name, stream)
        for _, proxy in replaced.values():
            proxy.end()


def is_terminal(stream: object) -> bool:
    """Returns whether a stream is a terminal; False for one that is closed or missing."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


def can_draw(stream: object) -> bool:
    """Returns whether a stream is a terminal on which the cursor can be moved."""
    return is_terminal(stream) and os.environ.get("TERM", "") not in ("", "dumb")
