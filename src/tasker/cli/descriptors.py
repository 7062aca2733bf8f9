"""The three standard descriptors, where the command was started without one of them (`2>&-`)."""

from __future__ import annotations

import os
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


def _writer(descriptor: int) -> TextIO:
    return open(descriptor, "w", closefd=False)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
