"""How much an engine does in one go, where many tasks end together."""

from __future__ import annotations

SLICE = 1000
"""Tasks that are ended before the next event is handled: some milliseconds. A kill, say, must not wait for all of a long queue."""
