"""Shared memory that outlives its users, on a machine where other tests run at the same time."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path("/dev/shm")


def segments() -> set[str]:
    """What `multiprocessing` has in shared memory, for any process of this machine."""
    return {path.name for path in FOLDER.glob("psm_*")}


class SharedMemoryLeaks:
    """
    Segments that were made and stay.

    Those of other tests come and go, so a segment is a leak if each question finds it, from the first one to the last.
    """

    def __init__(self) -> None:
        self._before = segments()
        self.found: set[str] | None = None

    def are_none(self) -> bool:
        """Whether every segment that the first call found has gone; to be asked until it is."""
        present = segments()
        self.found = present - self._before if self.found is None else self.found & present
        return not self.found
