"""ScriptedResources: makes resources as a script says, and records what becomes of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from support.gates import Gate

Step = BaseException | Gate | None


class Resource:
    """One resource; it records the threads it was made and destroyed in, and refuses two users at a time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.created_in = threading.current_thread()
        self.destroyed_in: threading.Thread | None = None
        self.bad = False
        self._busy = threading.Lock()

    def __repr__(self) -> str:
        return f"<resource {self.number}>"

    @contextmanager
    def use(self) -> Iterator[Resource]:
        """Hold the resource; fails if it is held already, or if it is bad or destroyed."""
        if not self._busy.acquire(blocking=False):
            raise AssertionError(f"{self!r} is used by two tasks at a time")
        try:
            assert not self.bad, f"{self!r} is unhealthy and was used again"
            assert self.destroyed_in is None, f"{self!r} was used after its end"
            yield self
        finally:
            self._busy.release()


class ScriptedResources:
    """The hooks of a Config. Each `create` takes the next step of the script: None makes a resource, an error is raised,
    a Gate is passed before a resource is made.

    After the last step, `then` repeats for ever. `on_destroy_raise` is raised by each `destroy`. Thread-safe.
    """

    def __init__(self, *script: Step, then: Step = None, on_destroy_raise: BaseException | None = None) -> None:
        self.script = list(script)
        self.then = then
        self.on_destroy_raise = on_destroy_raise
        self.created: list[Resource] = []
        self.destroyed: list[Resource] = []
        self.attempts = 0
        self.creating = 0
        self.peak_alive = 0
        self._numbers = count(1)
        self._lock = threading.Lock()

    @property
    def alive(self) -> list[Resource]:
        """The resources that were created and not destroyed."""
        with self._lock:
            gone = set(map(id, self.destroyed))
            return [one for one in self.created if id(one) not in gone]

    def create(self) -> Resource:
        """The `on_create` hook."""
        step = self._begin()
        try:
            if isinstance(step, Gate):
                step.pass_through()
            return self._finish(step)
        finally:
            self._leave()

    async def acreate(self) -> Resource:
        """The `on_create` hook as a coroutine function."""
        step = self._begin()
        try:
            if isinstance(step, Gate):
                await step.apass_through()
            return self._finish(step)
        finally:
            self._leave()

    def destroy(self, resource: Resource) -> None:
        """The `on_destroy` hook."""
        self._note_end(resource)
        if self.on_destroy_raise is not None:
            raise self.on_destroy_raise

    async def adestroy(self, resource: Resource) -> None:
        """The `on_destroy` hook as a coroutine function."""
        self._note_end(resource)
        if self.on_destroy_raise is not None:
            raise self.on_destroy_raise

    def check_all_ended_once(self) -> None:
        """Assert that each resource was destroyed exactly once."""
        numbers = sorted(one.number for one in self.destroyed)
        assert numbers == sorted({*numbers}), f"destroyed twice: {numbers}"
        assert numbers == sorted(one.number for one in self.created), f"never destroyed: {self.alive}"

    def _begin(self) -> Step:
        with self._lock:
            self.attempts += 1
            self.creating += 1
            return self.script.pop(0) if self.script else self.then

    def _finish(self, step: Step) -> Resource:
        if isinstance(step, BaseException):
            raise step
        with self._lock:
            resource = Resource(next(self._numbers))
            self.created.append(resource)
            self.peak_alive = max(self.peak_alive, len(self.created) - len(self.destroyed))
            return resource

    def _leave(self) -> None:
        with self._lock:
            self.creating -= 1

    def _note_end(self, resource: Resource) -> None:
        with self._lock:
            resource.destroyed_in = threading.current_thread()
            self.destroyed.append(resource)
