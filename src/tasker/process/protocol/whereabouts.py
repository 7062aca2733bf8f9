"""What is said of the place where a child is: the question, and both kinds of answers (see ``child.whereabouts``)."""

from __future__ import annotations

import re
import signal
import traceback
from pathlib import Path

WHERE = "where"
"""In place of the cause of a cancellation: say where the main thread is. The number is that of the question."""

SIGNAL: signal.Signals = signal.SIGURG
"""Whose default is to be ignored: it does no harm in a child that is only being started, or that the user's code has made deaf to
it. And hardly anything uses it."""

_LIBRARY = str(Path(__file__).parents[1] / "child")
_FRAME = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_CUT = "  ..."
_MOST = 20
"""Frames that are shown, the innermost ones."""


def answer(number: int, stack: str) -> bytes:
    """Returns the answer of Python code to a question."""
    return f"\0{number}\n{stack}\0".encode(errors="replace")


def answered(read: bytes, number: int) -> str | None:
    """Returns the stack that the answer to that question has; None if it is not there, or not whole."""
    _, found, rest = read.partition(b"\0%d\n" % number)
    stack, whole, _ = rest.partition(b"\0")
    return stack.decode(errors="replace") if found and whole else None


def dumped(read: bytes, whole: bool = True) -> str | None:
    """Returns the stack that ``faulthandler`` has written, in the form of ``traceback``; None if there is none. ``whole``: not
    before it is complete, as it comes in pieces, the innermost frame first."""
    frames: list[traceback.FrameSummary] = []
    *lines, _ = re.sub(rb"\0.*?\0", b"", read, flags=re.DOTALL).decode(errors="replace").split("\n")
    for line in lines:
        found = _FRAME.fullmatch(line)
        if line == _CUT or (found is not None and found[1].startswith(_LIBRARY)):
            whole = False
            break
        if found is not None:
            frames.append(traceback.FrameSummary(found[1], int(found[2]), found[3]))
    if whole or not lines:
        return None
    return "".join(traceback.StackSummary.from_list(frames[:_MOST][::-1]).format())
