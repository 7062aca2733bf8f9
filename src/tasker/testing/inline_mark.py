"""Whether this thread is inside of an inline manager, where nothing else can run."""

from __future__ import annotations

import threading


class _Depth(threading.local):
    inside: int = 0


depth: _Depth = _Depth()


def is_inline() -> bool:
    """Returns whether an ``InlineTaskManager`` runs user code in this thread now."""
    return depth.inside > 0
