"""Painters: where frames go. One draws on a terminal, one writes lines elsewhere. A painter belongs to the thread of its view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from tasker.watch.frame import Frame

from .layout import screen
from .lines import Telling
from .look import Look
from .redirect import Redirect

Above = Callable[[Look], Sequence[Text]]
"""Makes lines that are drawn above those of the manager."""


class Painter(Protocol):
    """Shows frames."""

    def start(self) -> None: ...
    def show(self, frame: Frame) -> None: ...
    def note(self, text: str) -> None:
        """Shows a text that stays, from any thread."""

    def finish(self) -> None:
        """Leaves everything as it was. Harmless if repeated."""


class LinePainter:
    """Writes lines: one for each frame, and one for each thing that has happened since the last one."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._telling = Telling(Look(encoding=getattr(file, "encoding", None) or "utf-8"))

    def start(self) -> None: ...

    def show(self, frame: Frame) -> None:
        for line in self._telling.lines(frame):
            self.note(line)

    def note(self, text: str) -> None:
        self._file.write(f"{text}\n")
        self._file.flush()

    def finish(self) -> None: ...


class ScreenPainter:
    """Draws each frame in place of the last one, below all that is printed meanwhile.

    Not on the alternate screen: what tasks print would be gone with it.
    """

    def __init__(self, file: TextIO, above: Above, *, transient: bool) -> None:
        # What is printed is shown as it is: no markup, no emoji codes, no colours for what looks like a number.
        self._console = Console(file=file, markup=False, emoji=False, highlight=False)
        self._above = above
        self._transient = transient
        # Reentrant: a finalizer or a signal handler may print in the middle of a drawing.
        self._lock = threading.RLock()
        self._redirect = Redirect(self._console, self._lock)
        self._live: Live | None = None
        self._drawn: list[Text] = []
        self._width = 0

    def start(self) -> None:
        self._redirect.begin()
        self._begin(transient=self._transient)

    def _begin(self, *, transient: bool) -> None:
        self._width = self._console.width
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            transient=transient,
        )
        self._live.start()

    def show(self, frame: Frame) -> None:
        if not self._console.is_terminal:  # rich would draw nothing, and say nothing
            raise OSError("the terminal has hung up")
        size = self._console.size
        # One line less than there are, for the cursor.
        look = Look(size.width, max(1, size.height - 1), self._console.encoding)
        lines = screen(frame, look, self._above(look))
        with self._lock:
            if size.width < self._width:
                self._shrink(size.width, lines)
            self._width = size.width
            assert self._live is not None
            self._live.update(Group(*lines), refresh=True)
            self._drawn = lines

    def _shrink(self, width: int, lines: list[Text]) -> None:
        """Removes what a narrower terminal has made of the lines: those that were wider than it now take several rows, which rich
        does not know of."""
        wrapped = sum(max(0, -(-cell_len(line.plain) // width) - 1) for line in self._drawn)
        if not wrapped:
            return
        assert self._live is not None
        self._live.transient = True
        self._live.update(Group(*lines))
        self._live.stop()
        self._console.control(Control(*[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * wrapped))
        self._begin(transient=self._transient)

    def note(self, text: str) -> None:
        with self._lock:
            self._console.print(Text(text, style="yellow"))

    def finish(self) -> None:
        live, self._live = self._live, None
        with self._lock:
            try:
                if live is not None:
                    live.stop()
            finally:
                self._redirect.end()
