"""The asyncio engine: with coroutine functions, and with plain functions that run in threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar

import tasker
from support import internals
from support.coroutine_kit import CoroutineKit
from support.engine import Engine, Watch
from support.function_kit import FunctionKit
from support.own_manager import OwnAsyncManager
from support.resources import ScriptedResources
from support.waiting import WAIT, eventually, wait_until
from tasker import TaskCancelled, TaskStats

_NUMBERS = count(1)
_THREADS = "concurrent.futures.wait and as_completed take no asyncio future; asyncio's own are tested in tests/aio/test_future.py"
_HELD = "callbacks of Context.on_cancel are called in the event loop, where nothing may block"
_SOON = "an asyncio future has the loop call what is added late; tests/aio/test_future.py"


class AsyncioFuture:
    """A future whose waiting methods are awaitable and take a timeout."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def __await__(self) -> Any:
        return self.raw.__await__()

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the result; without a timeout, fail after WAIT seconds."""
        await asyncio.wait([self.raw], timeout=WAIT if timeout is None else timeout)
        if not self.raw.done():
            error = AssertionError if timeout is None else TimeoutError
            raise error(f"no outcome: {self.raw!r}")
        try:
            return self.raw.result()
        except asyncio.CancelledError as cancelled:
            raise TaskCancelled(*cancelled.args) from None  # as the other engines do

    async def exception(self, timeout: float | None = None) -> Any:
        """Wait for the error, or None; raises a cancellation, as `concurrent.futures` does."""
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
    """An AsyncTaskManager whose `submit` waits, as that of a TaskManager does."""

    def __init__(self, raw: Any, resources: ScriptedResources) -> None:
        self.raw = raw
        self.resources = resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    async def submit(self, task: Any, *args: Any, **options: Any) -> AsyncioFuture:
        """`submit_wait`; then let the loop have a turn, so that a series of submits does not starve the workers."""
        future = AsyncioFuture(await self.raw.submit_wait(task, *args, **options))
        await asyncio.sleep(0)
        return future


class AsyncioEngine(Engine):
    """Makes AsyncTaskManagers; tasks and hooks are coroutine functions."""

    name = "asyncio"
    kit: Any = CoroutineKit()
    wrapper: Any = AsyncioManager
    pause = 0.0
    """Of the sampler, between two samples, in seconds."""
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
        "test_a_callback_that_blocks_holds_up_no_kill": _HELD,
        "test_waiters_wake_before_callbacks": _HELD,
        "test_run_task_hears_of_a_kill_before_callbacks": _HELD,
        "test_an_async_task_is_refused_clearly": "an AsyncTaskManager runs it",
        "test_point_16_exception_inside_the_only_worker": "exception() of an asyncio future does not wait",
    }

    def __init__(self) -> None:
        super().__init__()
        self._before = set(threading.enumerate())

    def hooks(self, resources: ScriptedResources) -> dict[str, Any]:
        """The hooks that make and end resources."""
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
                    yield self.wrapper(raw, resources or ScriptedResources())
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
        # First the tasks: a worker that was abandoned may still make a resource in its thread, and its task ends once that
        # is counted and destroyed.
        await eventually(lambda: not ours(before, raw.name), 10, f"no task is left: {ours(before, raw.name)}")
        await eventually(
            lambda: self.ledger_is_complete(raw, resources, killed), 10, f"{raw.name}: everything is in the ledger"
        )
        await eventually(lambda: raw.stats().resources.alive == 0, 10, f"{raw.name}: nothing is alive")
        self.check_ledger(raw.stats().resources, resources, killed)

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
            for _ in range(100):  # so that even a run that ends at once is sampled
                await asyncio.sleep(0)
            sampler.cancel()

    def inside_task(self, manager: Any, fn: Callable[..., Any]) -> Callable[..., Any]:
        # A coroutine function for plain functions too: a function in a worker's thread can't wait for the manager of a loop.
        @functools.wraps(fn)
        async def task(ctx: Any, resource: Any, *args: Any) -> Any:
            return await fn(OwnAsyncManager(manager), *args)

        return task

    def inside_hook(self, managers: list[Any], fn: Callable[..., Any]) -> Callable[..., Any]:
        async def hook(*args: Any) -> Any:
            return await fn(OwnAsyncManager(managers[0]))

        return hook

    def audit(self) -> None:
        self.open_gates()
        wait_until(lambda: not self._left(), 15, f"no thread is left: {self._left()}")

    def _left(self) -> list[threading.Thread]:
        return [
            thread for thread in threading.enumerate() if thread not in self._before and thread.name != "contract-call"
        ]


def ours(before: set[Any], name: str) -> list[Any]:
    """The tasks of the loop that a manager has started and that have not ended."""
    return [task for task in asyncio.all_tasks() - before if task.get_name().startswith(f"{name}-")]


class AsyncioThreadsEngine(AsyncioEngine):
    """Makes AsyncTaskManagers; tasks and hooks are plain functions, which run in the workers' own threads."""

    name = "asyncio, plain functions"
    kit: Any = FunctionKit()
    pause = 0.0005  # without one, the loop's thread would keep the GIL from the workers' threads

    def hooks(self, resources: ScriptedResources) -> dict[str, Any]:
        """The hooks that make and end resources."""
        return {"on_create": resources.create, "on_destroy": resources.destroy}


class LentManager(AsyncioManager):
    """An AsyncTaskManager whose `submit` begins a task where a caller of `queue_task` would."""

    async def submit(self, task: Any, *args: Any, **options: Any) -> AsyncioFuture:
        """As `queue_task`, without the wait for the result."""
        begun = None if options else internals.begun_by_caller(self.raw, task, args)
        if begun is None:
            return await super().submit(task, *args, **options)
        await asyncio.sleep(0)
        return AsyncioFuture(begun)


class LentAsyncioEngine(AsyncioEngine):
    """Makes AsyncTaskManagers whose callers begin tasks, wherever a worker is idle."""

    name = "asyncio, begun by callers"
    wrapper: Any = LentManager
