"""A painter between threads that print."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import pytest

pytest.importorskip("rich")

from support.terminal import Screen
from tasker.live.painters import ScreenPainter
from tasker.watch.frame import FailureGroup, Frame


class Tty(io.StringIO):
    """A terminal that keeps what is written to it, in one piece for each write."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


def frame(failures: int) -> Frame:
    groups = tuple(FailureGroup("ValueError", f"number {number}", 1, 0, 0.0) for number in range(failures))
    return Frame(at=0.0, name="reports", state="running", failures=groups)


@pytest.mark.parametrize("transient", [True, False])
def test_prints_between_drawings_of_changing_height(monkeypatch: pytest.MonkeyPatch, transient: bool) -> None:
    """Nothing is left of earlier drawings, and no print is lost, however the threads interleave."""
    for name, value in (("TERM", "xterm"), ("COLUMNS", "60"), ("LINES", "30")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", tty := Tty())
    painter = ScreenPainter(tty, lambda look: (), transient=transient)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        painter.start()
        printers = [threading.Thread(target=lambda: [print("printed") for _ in range(100)]) for _ in range(3)]
        for one in printers:
            one.start()
        for number in range(100):
            painter.show(frame(number % 7))
        painter.finish()
        for one in printers:
            one.join()
    finally:
        sys.setswitchinterval(switch)
    assert sys.stdout is tty
    screen = Screen(60, 30)
    for piece in tty.pieces:
        screen.feed(piece.replace("\n", "\r\n"))
    rows = screen.all
    assert rows.count("printed") == 300
    assert sum(row.startswith("reports  ") for row in rows) == (0 if transient else 1)
    assert screen.cursor_shown


def test_a_stream_that_somebody_else_has_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stays; and what a thread has left without an end is printed."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", tty := Tty())
    painter = ScreenPainter(tty, lambda look: (), transient=True)
    painter.start()
    ours: Any = sys.stdout
    assert (ours.isatty(), ours.writable(), ours.encoding, ours.errors) == (True, True, "utf-8", tty.errors)
    print("begun", end="")
    sys.stdout = other = io.StringIO()
    painter.finish()
    assert sys.stdout is other
    assert "begun" in "".join(tty.pieces)
