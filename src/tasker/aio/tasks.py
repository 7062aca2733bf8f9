"""Starts the tasks of the loop that belong to the library."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class _Begun(Coroutine[Any, Any, T]):
    """A coroutine whose first step is made, even if its task is cancelled before."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._begun = False

    def send(self, value: Any) -> Any:
        self._begun = True
        return self._coroutine.send(value)

    def throw(self, error: Any, *rest: Any) -> Any:
        if not self._begun and isinstance(error, asyncio.CancelledError):
            return self.send(None)
        return self._coroutine.throw(error, *rest)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()


def start_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T],
    name: str,
    variables: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    """Starts a task of the loop, in an empty context unless ``variables`` are given. Its first step is always a later
    one: whatever keeps the task, and needs to, has it by then."""
    # Not ``loop.create_task``: the task factory of the loop may be ``asyncio.eager_task_factory``, with which the task
    # would run, and perhaps end, before the caller has it. An empty context by default, because what the library does
    # has nothing to do with the code that happens to start it.
    return asyncio.Task(coroutine, loop=loop, name=name, context=variables or contextvars.Context())


def start_duty(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T],
    name: str,
    variables: contextvars.Context | None = None,
) -> asyncio.Task[T]:
    """As ``start_task``, for what the engine waits for: a loop that ends cancels all its tasks, and one that has not made
    its first step would do nothing at all. That cancellation is dropped; a later one strikes as usual."""
    return start_task(loop, _Begun(coroutine), name, variables)
