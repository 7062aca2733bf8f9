"""Daemon: a thread of the library's, whose start Ctrl-C cannot break.

``Thread.start`` waits for an Event that the new thread sets. Ctrl-C that strikes this wait may leave the Event locked, and
then the new thread, which would be the one that reads all reports of the children, say, never gets to its work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .flag import Flag


class Daemon(threading.Thread):
    """A daemon thread. If ``start`` is interrupted, either the thread runs, or it will never do."""

    owner: object = None
    """The engine it works for, for ``stack_of_worker``: threads of two managers may have the same name. None: not asked for."""

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        # Only what is as it is known to be: another version may do otherwise.
        if type(getattr(self, "_started", None)) is threading.Event:
            self._started: _Started = _Started()


class _Started(Flag):
    """Stands in for the Event."""

    def _at_fork_reinit(self) -> None:
        """In a fork there is no lock to be renewed."""
