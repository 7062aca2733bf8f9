"""A terminal: a program in a pty, and what its screen would show."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import tasker

SOURCES = str(Path(tasker.__file__).resolve().parents[1])
DEADLINE_S = 90.0
_PIECES = re.compile(
    r"\x1b\[(?P<arguments>[?0-9;]*)(?P<final>[A-Za-z])|(?P<partial>\x1b(?:\[[?0-9;]*)?$)|(?P<plain>.)", re.DOTALL
)


class Screen:
    """As much of a terminal as rich uses, with a scrollback. Lines that were wrapped are wrapped anew when its size changes, as most
    terminals do."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cursor_shown = True
        self._rows: list[list[str]] = [[]]
        self._wrapped = [False]  # whether the row goes on in the next one
        self._x = self._y = 0
        self._unread = ""

    @property
    def all(self) -> list[str]:
        """All rows, the scrollback included."""
        return ["".join(row).rstrip() for row in self._rows]

    @property
    def shown(self) -> list[str]:
        """The rows on the screen."""
        return self.all[-self.height :]

    def feed(self, text: str) -> None:
        text, self._unread = self._unread + text, ""
        for piece in _PIECES.finditer(text):
            if piece["partial"]:
                self._unread = piece["partial"]
            elif piece["final"]:
                self._control(piece["arguments"], piece["final"])
            else:
                self._plain(piece["plain"])

    def _control(self, arguments: str, final: str) -> None:
        if arguments == "?25":
            self.cursor_shown = final == "h"
        elif final == "A":
            self._y = max(len(self._rows) - self.height, 0, self._y - int(arguments or 1))
        elif final == "K":
            assert arguments == "2"
            self._rows[self._y], self._wrapped[self._y] = [], False
        else:
            assert final == "m", (arguments, final)

    def _plain(self, character: str) -> None:
        if character == "\r":
            self._x = 0
        elif character == "\n":
            self._down(wrapped=False)
        else:
            assert character >= " ", f"{character!r} reached the terminal"
            if self._x >= self.width:
                self._down(wrapped=True)
                self._x = 0
            row = self._rows[self._y]
            row += " " * (self._x + 1 - len(row))
            row[self._x] = character
            self._x += 1

    def _down(self, *, wrapped: bool) -> None:
        self._wrapped[self._y] = wrapped
        self._y += 1
        if self._y == len(self._rows):
            self._rows.append([])
            self._wrapped.append(False)

    def resize(self, width: int, height: int) -> None:
        """Wraps all lines anew."""
        rows: list[list[str]] = []
        wrapped: list[bool] = []
        place = (0, 0)
        line: list[str] = []
        for number, row in enumerate(self._rows):
            if number == self._y:
                at = len(line) + self._x
                place = (len(rows) + max(0, at - 1) // width, at - max(0, at - 1) // width * width)
            line += row
            if not self._wrapped[number]:
                parts = [line[start : start + width] for start in range(0, len(line), width)] or [[]]
                rows += parts
                wrapped += [True] * (len(parts) - 1) + [False]
                line = []
        self._rows, self._wrapped, (self._y, self._x) = rows, wrapped, place
        self.width, self.height = width, height


class Terminal:
    """Python code that runs with the terminal as its standard output and error."""

    def __init__(self, folder: Path, code: str, width: int = 80, height: int = 24, **environment: str) -> None:
        self.screen = Screen(width, height)
        self.folder = folder
        self._ours, theirs = pty.openpty()
        self._set_size(width, height)
        os.set_blocking(self._ours, False)
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        (folder / "program.py").write_text(code, encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=folder,
            env={**inherited, "PYTHONPATH": SOURCES, "TERM": "xterm-256color", **environment},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.raw = ""

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def resize(self, width: int, height: int) -> None:
        """Resizes it, as a window manager does."""
        self.read()
        self.screen.resize(width, height)
        self._set_size(width, height)
        self.process.send_signal(signal.SIGWINCH)

    def read(self) -> list[str]:
        """Takes what was written until now. Returns what the screen shows."""
        try:
            while chunk := os.read(self._ours, 65536):
                text = self._decoder.decode(chunk)
                self.raw += text
                self.screen.feed(text)
        except OSError:  # nothing there now, or the program has ended
            pass
        return self.screen.shown

    def until(self, condition: Callable[[list[str]], object], what: str) -> list[str]:
        """Reads until the condition is true of what the screen shows, and returns that."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition(shown := self.read()):
            assert time.monotonic() < deadline, "\n".join([f"not in time: {what}", *self.screen.all])
            time.sleep(0.005)
        return shown

    def wait(self) -> int:
        """Reads to the end of the program, and returns its exit code."""
        self.until(lambda shown: self.process.poll() is not None, "the end of the program")
        self.read()
        return self.process.returncode

    def hang_up(self) -> None:
        """The terminal is gone."""
        ours, self._ours = self._ours, os.open(os.devnull, os.O_RDONLY)
        os.close(ours)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
