"""The interface between a worker and the place where its resource lives.

The life of a worker is the same everywhere: make the resource, serve the queue with it, destroy it, and report each
step (``worker.Worker``). Where the resource is, and how a task gets there and its outcome back, is up to the worker's
*host*. Health, retries, priorities and scaling stay with the worker and the control plane, in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class HostDied(Exception):
    """The process in which the resource lived is gone, and the resource with it; the message says how it ended."""


class Host(Protocol):
    """Holds one resource. The thread of one worker calls its methods, except ``kill``."""

    def create(self) -> None:
        """Makes the resource. Raises what the user's function raises."""

    def serve(self) -> None:
        """Runs tasks until it takes a ``RETIRE`` from the queue, parked at each ``PARK``, or the resource must not be
        used any more. Raises ``HostDied`` if the process of the resource has ended."""

    def destroy(self) -> None:
        """Destroys the resource and ends its process, if it has one. An error of user code is logged, not raised."""

    def where(self, thread: int | None, patience: float = 0.0) -> str:
        """Returns where the task or hook that runs is now, as the lines of a stack or in words. ``thread`` is the worker's.
        ``patience``: see ``WorkerPort``. May be called from any thread."""
        ...

    def show(self, thread: int | None, tell: Callable[[str], object]) -> None:
        """See ``WorkerPort``. ``thread`` is the worker's. Called by the supervisor's thread."""

    def call(self) -> None:
        """Has the worker leave as soon as it has no task, because its resource is outdated. Called by the supervisor's
        thread."""

    def ahead(self) -> Sequence[Any]:
        """See ``WorkerPort``. May be called from any thread."""
        ...

    def kill(self) -> bool:
        """Ends whatever runs here by force, and the resource with it. Returns False if that is not possible. May be
        called from any thread."""
