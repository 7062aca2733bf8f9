"""Random numbers of children that are forked from one process: each child draws others."""

from __future__ import annotations

import sys
import traceback


def draw_apart() -> None:
    """Seeds the global generator of numpy anew, if a preloaded module has imported it. Python does so with that of ``random``."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        try:
            numpy_random.seed()
        except Exception:  # what was preloaded has put something else in its place
            traceback.print_exc()
