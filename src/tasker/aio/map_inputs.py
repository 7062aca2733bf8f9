"""The inputs of a ``map``: a synchronous iterable, read when the next input is wanted, or an asynchronous one, read by a
task of its own.

That task may wait for an input while the map yields results. It is one task for all inputs, because what an
asynchronous generator enters (a cancel scope, a timeout) has to be left in the same task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Iterable, Iterator
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from tasker.core.mapping import is_in_memory

A = TypeVar("A")
_SLICE = 0.001
"""The seconds for which inputs are read before the loop runs anything else, the workers above all."""


class Bell(asyncio.Future[None]):
    """Wakes a map that waits for an input or a result, whichever comes first."""

    _children: tuple[Any, ...] = ()
    """What rings it, for the search for deadlocks and for code that is inside of a task."""

    def ring(self) -> None:
        """Wakes the map."""
        if not self.done():
            self.set_result(None)


class Inputs(Protocol[A]):
    """What a ``map`` reads."""

    ended: bool
    """Whether there are no more."""
    prompt: bool
    """Whether an input that is ready never has to be waited for."""

    @property
    def ready(self) -> bool:
        """Whether the next input can be taken now."""
        ...

    async def take(self) -> list[A]:
        """Takes the next input: returns a list of one, or of none at the end. Raises what the iterable raises."""
        ...

    def watch(self, bell: Bell, most: int) -> None:
        """Has ``bell`` rung at the next input, or at the end, and ``most`` inputs read until they are taken."""

    async def close(self) -> None:
        """Ends the reading."""


class SyncInputs(Generic[A]):
    """Implements ``Inputs``. Reading may block the loop, but never waits in it."""

    def __init__(self, inputs: Iterable[A]) -> None:
        self._inputs: Iterator[A] = iter(inputs)
        self.ended: bool = False
        self.prompt: bool = is_in_memory(inputs)
        self._turn = monotonic()

    @property
    def ready(self) -> bool:
        """See ``Inputs``."""
        return not self.ended

    async def take(self) -> list[A]:
        """See ``Inputs``."""
        for item in self._inputs:
            now = monotonic()
            if now - self._turn > _SLICE:
                await asyncio.sleep(0)
                self._turn = monotonic()
            return [item]
        self.ended = True
        return []

    def watch(self, bell: Bell, most: int) -> None:
        """See ``Inputs``. Never called: these are ready, or at their end."""

    async def close(self) -> None:
        """See ``Inputs``."""


class AsyncInputs(Generic[A]):
    """Implements ``Inputs``."""

    def __init__(self, inputs: AsyncIterable[A]) -> None:
        self._inputs = inputs
        self.ended: bool = False
        self.prompt: bool = True
        self._read_ahead: deque[A] = deque()
        self._most = 0
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._bell: Bell | None = None
        self._demand: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """See ``Inputs``."""
        return not self.ended and (bool(self._read_ahead) or self._error is not None)

    async def take(self) -> list[A]:
        """See ``Inputs``."""
        if self._read_ahead:
            return [self._read_ahead.popleft()]
        self.ended = True
        assert self._error is not None
        if issubclass(type(self._error), StopAsyncIteration):
            return []
        raise self._error

    def watch(self, bell: Bell, most: int) -> None:
        """See ``Inputs``."""
        self._bell, self._most = bell, most
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read())
        if self._demand is not None and not self._demand.done():
            self._demand.set_result(None)
        bell._children += (self._task,)

    async def close(self) -> None:
        """See ``Inputs``."""
        task = self._task
        if task is not None and not task.done() and task.get_loop().is_running():
            task.cancel()
            await asyncio.wait([task])  # raises nothing of the task's

    async def _until_wanted(self, turn: float) -> float:
        """Waits until one more input is wanted, and lets the loop run others once a slice is over. Returns when the slice began."""
        while len(self._read_ahead) >= self._most:
            self._demand = asyncio.get_running_loop().create_future()
            await self._demand
            turn = monotonic()
        if monotonic() - turn > _SLICE:
            await asyncio.sleep(0)
            turn = monotonic()
        return turn

    async def _read(self) -> None:
        turn = monotonic()
        try:
            async for item in self._inputs:
                self._read_ahead.append(item)
                if self._bell is not None:
                    self._bell.ring()
                turn = await self._until_wanted(turn)
            self._error = StopAsyncIteration()
        except BaseException as error:
            self._error = error
            if not issubclass(type(error), Exception):
                raise
        finally:
            if self._bell is not None:
                self._bell.ring()
