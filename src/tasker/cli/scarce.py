"""Files that are opened while workers take the last descriptors of the process."""

from __future__ import annotations

import errno
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 5.0
_PAUSE_S = 0.01


def out_of_descriptors(error: OSError) -> bool:
    """Returns whether the process, or the system, had no descriptor left."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def opened(open: Callable[[], T]) -> T:
    """Returns what ``open`` returns. While there is no descriptor left, it is tried again for up to ``PATIENCE_S``: a worker that
    cannot be made holds those that it has taken for a moment only. Then its ``OSError`` is raised."""
    deadline = monotonic() + PATIENCE_S
    while True:
        try:
            return open()
        except OSError as error:
            if not out_of_descriptors(error) or monotonic() >= deadline:
                raise
        sleep(_PAUSE_S)
