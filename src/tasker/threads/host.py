"""The seam between workers and the places where their resources live.

A worker's life is the same everywhere: make the resource, serve the queue with it, end it, and report each step
(``worker.Worker``). Where the resource is, and how a task gets to it and its outcome back, is the affair of the
worker's *host*. Health, retries, priorities and scaling stay with the worker and the control plane, in this process.
"""

from __future__ import annotations

from typing import Protocol


class HostDied(Exception):
    """What the resource lived in is gone, and the resource with it; the message says how."""


class Host(Protocol):
    """The place of one resource, driven by the thread of one worker."""

    def create(self) -> None:
        """Makes the resource; raises what the user's function raises."""

    def serve(self) -> None:
        """Runs tasks until a ``RETIRE`` is taken, or until the resource is not to be used any more. Raises
        ``HostDied``."""

    def destroy(self) -> None:
        """Ends the resource and what it lived in. Raises nothing of the user's."""

    def kill(self) -> bool:
        """From any thread: ends whatever runs here by force, and the resource with it. False where that can't be
        done."""
