"""Ages: which resources of ``run_task`` are of before the last refresh."""

from __future__ import annotations

import threading
import weakref


class Age:
    """When the creation of one resource has begun. It goes with the resource, to what makes or holds that."""

    __slots__ = ("__weakref__", "generation")

    def __init__(self, generation: int) -> None:
        self.generation: int = generation


UNKNOWN = Age(-1)
"""Of a resource that is gone, or whose maker was interrupted before it could note the age."""


class Ages:
    """The ages of the resources that are being made or alive. Thread-safe."""

    def __init__(self) -> None:
        self.generation: int = 0
        """How many refreshes there were."""
        # Weak, so that nothing has to be taken back where Ctrl-C strikes between two steps of a creation. What ends as it should is
        # taken out all the same: without the GIL, an object goes only when the thread that made it runs again.
        self._alive: weakref.WeakSet[Age] = weakref.WeakSet()
        self._lock = threading.RLock()

    def begin(self) -> Age:
        """A creation begins. Returns its age."""
        age = Age(self.generation)
        with self._lock:
            self._alive.add(age)
        return age

    def forget(self, age: Age) -> None:
        """A creation has come to nothing, and the frames in the traceback of its error may keep the age for long; or the resource
        is gone."""
        with self._lock:
            self._alive.discard(age)

    def outdate(self) -> None:
        """Makes whatever has begun outdated."""
        with self._lock:
            self.generation += 1

    @property
    def outdated(self) -> int:
        """How many outdated resources are alive or being made."""
        with self._lock:
            return sum(age.generation != self.generation for age in list(self._alive))

    def forked(self) -> None:
        """In a forked child, where the lock may be held by a thread that does not exist."""
        self._lock = threading.RLock()
