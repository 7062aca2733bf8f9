"""The three standard descriptors: where the command was started without one of them (`2>&-`), and where one is for it alone."""

from __future__ import annotations

import os
import stat
import sys
from typing import TextIO


def fill_closed() -> None:
    """Puts something in place of each standard descriptor that is closed.

    Otherwise the next file that is opened would get its number: what the job prints would end up among the results.
    Standard input and output stay unusable, as they were: reading and writing fail.
    """
    # From 0 upwards, as `open` takes the lowest number that is free.
    for descriptor, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDWR)):
        if not _is_open(descriptor):
            os.set_inheritable(os.open(os.devnull, flags), True)
    # A program that writes to these need not know that there is nothing; and to print(), None as `file` is standard output.
    if sys.stderr is None:
        sys.stderr = _writer(2)
    if sys.stdout is None:
        sys.stdout = _writer(os.open(os.devnull, os.O_WRONLY))


class _Input:
    descriptor = 0


def standard_input() -> int:
    """Returns the descriptor of standard input."""
    return _Input.descriptor


def as_named(path: str) -> str:
    """Returns the path of an input; `-` if it is another name of a standard input that cannot be opened anew, as `/dev/stdin` of a
    pipe."""
    try:
        status = os.stat(path)
        is_input = not stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.fstat(standard_input()))
    except OSError:
        return path
    return "-" if is_input else path


def claim_stdin() -> None:
    """Keeps standard input for those who ask for its descriptor. From here on, descriptor 0 reads nothing: a program that the job
    starts would take from the inputs what it finds there, as `ssh` does in a loop of a shell."""
    if _Input.descriptor == 0:
        _Input.descriptor = os.dup(0)
        empty = os.open(os.devnull, os.O_RDONLY)
        os.dup2(empty, 0)
        os.close(empty)


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", closefd=False)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
