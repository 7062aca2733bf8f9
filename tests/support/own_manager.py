"""OwnManager: a manager as a task or a callback of its own uses it.

A test writes such a task once, as a coroutine function: `async def outer(own): return await own.queue_task(inner)`. Over
asyncio it is awaited in the worker. Over threads every method of OwnManager blocks the worker's thread instead of suspending
the coroutine, which therefore runs to its end in one step; see `run_blocking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from support.gates import Gate


class OwnManager:
    """A TaskManager; its methods block the calling thread."""

    def __init__(self, manager: Any) -> None:
        self.raw = manager.raw

    async def pass_through(self, gate: Gate) -> None:
        """Wait at a gate."""
        gate.pass_through()

    async def submit(self, task: Any, *args: Any, **options: Any) -> Any:
        """Submit a task; waits for a place in a bounded queue, unless `block=False`."""
        return self.raw.submit(task, *args, **options)

    async def result(self, future: Any, timeout: float | None = None) -> Any:
        """Wait for the result of a task."""
        return unwrapped(future).result(timeout)

    async def queue_task(self, task: Any, *args: Any) -> Any:
        """Submit a task and wait for its result."""
        return self.raw.queue_task(task, *args)

    async def run_task(self, task: Any, *args: Any, **options: Any) -> Any:
        """Run a task here."""
        return self.raw.run_task(task, *args, **options)

    async def map(self, task: Any, items: Iterable[Any], **options: Any) -> list[Any]:
        """Return all results of `map`."""
        return list(self.raw.map(task, items, **options))

    async def pause(self, timeout: float | None = None) -> Any:
        """Call `pause`."""
        return self.raw.pause(timeout)

    async def end(self, how: str) -> Any:
        """Call `stop` or `kill`."""
        return getattr(self.raw, how)()


class OwnAsyncManager(OwnManager):
    """An AsyncTaskManager; its methods wait in the event loop."""

    async def pass_through(self, gate: Gate) -> None:
        await gate.apass_through()

    async def submit(self, task: Any, *args: Any, **options: Any) -> Any:
        return await self.raw.submit_wait(task, *args, **options)

    async def result(self, future: Any, timeout: float | None = None) -> Any:
        future = unwrapped(future)
        if timeout is not None:
            await asyncio.wait([future], timeout=timeout)
            if not future.done():
                raise TimeoutError
        return await future

    async def queue_task(self, task: Any, *args: Any) -> Any:
        return await self.raw.queue_task(task, *args)

    async def run_task(self, task: Any, *args: Any, **options: Any) -> Any:
        return await self.raw.run_task(task, *args, **options)

    async def map(self, task: Any, items: Iterable[Any], **options: Any) -> list[Any]:
        return [result async for result in self.raw.map(task, items, **options)]

    async def pause(self, timeout: float | None = None) -> Any:
        return await self.raw.pause(timeout)

    async def end(self, how: str) -> Any:
        return await getattr(self.raw, how)()


def unwrapped(future: Any) -> Any:
    """The future itself, of one that an engine's `submit` has wrapped."""
    return getattr(future, "raw", future)


def run_blocking(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that awaits nothing but methods of OwnManager, in the calling thread; return or raise its outcome."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    coroutine.close()
    raise AssertionError("the coroutine suspended itself, and there is no event loop here")
