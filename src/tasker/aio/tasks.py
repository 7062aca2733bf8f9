"""Starts the tasks of the loop that belong to the library."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class _Duty(Coroutine[Any, Any, T]):
    """A coroutine whose first step is made, even if its task is cancelled before, and whose result stands, even if its task is
    cancelled in its last step."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._begun = False
        self._result: list[T] = []
        """Its result, while a cancellation is still to be thrown."""

    def send(self, value: Any) -> Any:
        if self._result:  # the cancellation was taken back
            raise StopIteration(self._result.pop())
        self._begun = True
        return self._step(self._coroutine.send, value)

    def throw(self, error: Any, *rest: Any) -> Any:
        dropped = isinstance(error, asyncio.CancelledError)
        if dropped and (self._result or not self._begun):
            return self.send(None)
        return self._step(self._coroutine.throw, error, *rest)

    def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        try:
            return step(*args)
        except StopIteration as end:
            task: Any = asyncio.current_task()
            if task is None or not task._must_cancel:
                raise
            # As a function in a thread leaves one that has outlasted it. The loop would cancel the task now, and drop the
            # result; in the next turn it throws the error here.
            self._result.append(end.value)
        return None

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
    """As ``start_task``, for what the engine waits for: a loop that ends cancels all its tasks. One that has not made its first
    step would do nothing at all, and one in its last step would lose its result. Such a cancellation is dropped; any other one
    strikes as usual."""
    return start_task(loop, _Duty(coroutine), name, variables)
