"""The asyncio engine: with tasks that are coroutines, and with plain functions in threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar

import tasker
from support.aio_kit import AsyncKit
from support.engine import Engine, Watch
from support.kit import ThreadKit
from support.resources import ScriptedResources
from support.waiting import WAIT, eventually, wait_until
from tasker import TaskCancelled, TaskStats

_NUMBERS = count(1)
_THREADS = "concurrent.futures.wait and as_completed are for threads; tests/aio/test_future.py has asyncio's own"
_SOON = "an asyncio future has the loop call what is added late; tests/aio/test_future.py"


class Handle:
    """A future whose waiting methods are awaitable and take a timeout."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def __await__(self) -> Any:
        return self.raw.__await__()

    async def result(self, timeout: float | None = None) -> Any:
        """The result; without a timeout it is expected within the patience of the tests."""
        await asyncio.wait([self.raw], timeout=WAIT if timeout is None else timeout)
        if not self.raw.done():
            error = AssertionError if timeout is None else TimeoutError
            raise error(f"no outcome: {self.raw!r}")
        try:
            return self.raw.result()
        except asyncio.CancelledError as cancelled:  # asyncio's word for it
            raise TaskCancelled(*cancelled.args) from None

    async def exception(self, timeout: float | None = None) -> Any:
        """The error, or None; raises a cancellation, as `concurrent.futures` does."""
        try:
            await self.result(timeout)
        except TimeoutError:
            if not self.raw.done():
                raise
            return self.raw.exception()
        except BaseException as error:
            if not self.raw.done() or self.raw.cancelled():
                raise
            return error
        return None


class AsyncioManager:
    """An AsyncTaskManager whose `submit` waits, as the threaded one's does."""

    def __init__(self, raw: Any, resources: ScriptedResources) -> None:
        self.raw = raw
        self.resources = resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    async def submit(self, task: Any, *args: Any, **options: Any) -> Handle:
        """`submit_wait`, and a turn for the rest, so that a loop of submits does not starve it."""
        future = Handle(await self.raw.submit_wait(task, *args, **options))
        await asyncio.sleep(0)
        return future


class AsyncioEngine(Engine):
    """Makes AsyncTaskManagers with asynchronous tasks and hooks."""

    name = "asyncio"
    kit: Any = AsyncKit()
    pause = 0.0
    """Of the sampler, between two looks."""
    exceptions: ClassVar[dict[str, str]] = {
        "test_it_is_a_concurrent_future": "it is an asyncio.Future; tests/aio/test_future.py",
        "test_wait_all_completed": _THREADS,
        "test_wait_first_completed": _THREADS,
        "test_wait_first_exception": _THREADS,
        "test_wait_timeout": _THREADS,
        "test_wait_sees_a_cancellation": _THREADS,
        "test_as_completed_yields_in_order_of_completion": _THREADS,
        "test_as_completed_timeout": _THREADS,
        "test_mixed_with_plain_futures": _THREADS,
        "test_wrap_future": "there is nothing to wrap; tests/aio/test_future.py has gather and wait_for",
        "test_done_callbacks_in_order_and_late": _SOON,
    }

    def __init__(self) -> None:
        super().__init__()
        self._before = set(threading.enumerate())

    def hooks(self, resources: ScriptedResources) -> dict[str, Any]:
        """How resources are made and ended."""
        return {"on_create": resources.acreate, "on_destroy": resources.adestroy}

    @asynccontextmanager
    async def manager(self, **config: Any) -> AsyncIterator[Any]:
        resources = config.pop("resources", None)
        if "on_create" not in config and "resource" not in config:
            resources = resources or ScriptedResources()
            config.update(self.hooks(resources))
        workers = config.setdefault("worker_count", 1)
        config.setdefault("max_worker_count", workers)
        config.setdefault("resource_pool_size", 0)
        config.setdefault("name", f"contract{next(_NUMBERS)}")
        before = asyncio.all_tasks()
        try:
            async with tasker.AsyncTaskManager(tasker.Config(**config)) as raw:
                try:
                    yield AsyncioManager(raw, resources or ScriptedResources())
                except BaseException:
                    self.open_gates()
                    raise
        except tasker.ResourceError:
            if resources is not None:
                resources.check_all_ended_once()
            raise
        await self._audit_one(raw, resources, before)

    async def _audit_one(self, raw: Any, resources: ScriptedResources | None, before: set[Any]) -> None:
        killed = (await raw.kill(10)).killed
        self.open_gates()
        # What a worker that was left behind makes in its thread gets into the ledger a little later.
        await eventually(lambda: self.in_the_books(raw, resources, killed), 10, f"{raw.name}: all is in the ledger")
        await eventually(lambda: raw.stats().resources.alive == 0, 10, f"{raw.name}: nothing is alive")
        self.check_books(raw.stats().resources, resources, killed)
        await eventually(lambda: not ours(before, raw.name), 10, f"no task is left: {ours(before, raw.name)}")

    @asynccontextmanager
    async def watching(self, manager: Any, check: Callable[[TaskStats], str | None]) -> AsyncIterator[Watch]:
        watch = Watch()

        async def look() -> None:
            while True:
                complaint = check(manager.stats())
                watch.looks += 1
                if complaint and len(watch.violations) < 20:
                    watch.violations.append(complaint)
                await asyncio.sleep(self.pause)

        sampler = asyncio.create_task(look())
        try:
            yield watch
        finally:
            for _ in range(100):  # a run that is over at once is looked at all the same
                await asyncio.sleep(0)
            sampler.cancel()

    def audit(self) -> None:
        self.open_gates()
        wait_until(lambda: not self._left(), 15, f"no thread is left: {self._left()}")

    def _left(self) -> list[threading.Thread]:
        return [
            thread for thread in threading.enumerate() if thread not in self._before and thread.name != "contract-call"
        ]


def ours(before: set[Any], name: str) -> list[Any]:
    """The tasks of the loop that a manager has left behind."""
    return [task for task in asyncio.all_tasks() - before if task.get_name().startswith(f"{name}-")]


class AsyncioThreadsEngine(AsyncioEngine):
    """Makes AsyncTaskManagers with plain functions, which run in the workers' own threads."""

    name = "asyncio, plain functions"
    kit: Any = ThreadKit()
    pause = 0.0005  # without one the loop's thread would keep the GIL from the others

    def hooks(self, resources: ScriptedResources) -> dict[str, Any]:
        """How resources are made and ended."""
        return {"on_create": resources.create, "on_destroy": resources.destroy}
