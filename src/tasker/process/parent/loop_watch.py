"""A child's wire in an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasker.process.protocol.wire import Wire

if TYPE_CHECKING:
    import asyncio


class LoopWatch:
    """Implements ``Watch``: the loop reads as messages come, and sends on what the child has not taken yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire, on_ready: Callable[[], object]) -> None:
        self._loop = loop
        self._wire = wire
        self._reads, self._writes = wire.reads, wire.writes
        self._writing = False
        self._closed = False
        loop.add_reader(self._reads, on_ready)

    def flush(self) -> None:
        """See ``Watch``."""
        if self._wire.blocked and not self._writing and not self._closed:
            self._writing = True
            self._loop.add_writer(self._writes, self._write)

    def close(self) -> None:
        """See ``Watch``."""
        # Only once: the number of the descriptor may be another file's after the session was closed.
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._reads)
            self._stop_writing()

    def _write(self) -> None:
        try:
            self._wire.flush()
        except OSError:  # gone, which reading shows
            self._stop_writing()
        else:
            if not self._wire.blocked:
                self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._writes)
