"""The threaded engine: blocking calls run in threads of their own, so that tests can await them."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import tasker
from support.engine import Engine, Watch
from support.function_kit import FunctionKit
from support.own_manager import OwnManager, run_blocking
from support.resources import ScriptedResources
from support.waiting import WAIT, Call, in_thread, wait_until
from tasker import TaskStats

_END = object()
_NUMBERS = count(1)


class ThreadedFuture:
    """A future whose waiting methods are awaitable."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def __await__(self) -> Any:
        return self.raw.__await__()

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the result; without a timeout, fail after WAIT seconds."""
        return await self._wait(self.raw.result, timeout)

    async def exception(self, timeout: float | None = None) -> Any:
        """Wait for the error, or None."""
        return await self._wait(self.raw.exception, timeout)

    async def _wait(self, method: Callable[[float], Any], timeout: float | None) -> Any:
        try:
            return await in_thread(method, WAIT if timeout is None else timeout)
        except TimeoutError:
            if timeout is None and not self.raw.done():
                raise AssertionError(f"no outcome within {WAIT} s: {self.raw!r}") from None
            raise


class Results:
    """Makes an async iterator of the one that `map` returns."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __aiter__(self) -> Results:
        return self

    async def __anext__(self) -> Any:
        value = await in_thread(next, self._raw, _END)
        if value is _END:
            raise StopAsyncIteration
        return value

    async def aclose(self) -> None:
        """Close the iterator."""
        await in_thread(self._raw.close)


class ThreadedManager:
    """A TaskManager whose waiting methods are awaitable."""

    def __init__(self, raw: Any, resources: ScriptedResources) -> None:
        self.raw = raw
        self.resources = resources

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    async def submit(self, task: Any, *args: Any, **options: Any) -> ThreadedFuture:
        """`submit`."""
        return ThreadedFuture(await in_thread(self.raw.submit, task, *args, **options))

    async def queue_task(self, task: Any, *args: Any, **options: Any) -> Any:
        """`queue_task`."""
        return await in_thread(self.raw.queue_task, task, *args, **options)

    async def run_task(self, task: Any, *args: Any, **options: Any) -> Any:
        """`run_task`."""
        return await in_thread(self.raw.run_task, task, *args, **options)

    async def stop(self, timeout: float | None = None, **options: Any) -> Any:
        """`stop`."""
        return await in_thread(self.raw.stop, timeout, **options)

    async def pause(self, timeout: float | None = None) -> Any:
        """`pause`."""
        return await in_thread(self.raw.pause, timeout)

    async def kill(self, timeout: float | None = None) -> Any:
        """`kill`."""
        return await in_thread(self.raw.kill, timeout)

    def map(self, task: Any, iterable: Iterable[Any], **options: Any) -> Results:
        """`map`."""
        return Results(self.raw.map(task, iterable, **options))


class ThreadedEngine(Engine):
    """Makes TaskManagers."""

    name = "threads"
    blocking = True

    def __init__(self) -> None:
        super().__init__()
        self.kit = FunctionKit()
        self._made: list[tuple[Any, ScriptedResources | None]] = []
        self._before = set(threading.enumerate())

    def build(self, **config: Any) -> Any:
        """A TaskManager that is audited, for tests that are plain functions."""
        resources = config.pop("resources", None)
        if "on_create" not in config and "resource" not in config:
            resources = resources or ScriptedResources()
            config.update(on_create=resources.create, on_destroy=resources.destroy)
        workers = config.setdefault("worker_count", 1)
        config.setdefault("max_worker_count", workers)
        config.setdefault("resource_pool_size", 0)
        config.setdefault("name", f"contract{next(_NUMBERS)}")
        try:
            raw: Any = tasker.TaskManager(tasker.Config(**config))
        except tasker.ResourceError:
            if resources is not None:
                resources.check_all_ended_once()
            raise
        self._made.append((raw, resources))
        return raw

    @asynccontextmanager
    async def manager(self, **config: Any) -> AsyncIterator[Any]:
        raw = await in_thread(self.build, **config)
        resources = self._made[-1][1] or ScriptedResources()
        await in_thread(raw.__enter__)
        try:
            yield ThreadedManager(raw, resources)
        except BaseException as error:
            self.open_gates()
            await in_thread(raw.__exit__, type(error), error, error.__traceback__)
            raise
        await in_thread(raw.__exit__, None, None, None)

    @asynccontextmanager
    async def watching(self, manager: Any, check: Callable[[TaskStats], str | None]) -> AsyncIterator[Watch]:
        watch = Watch()
        ended = threading.Event()

        def look() -> None:
            while not ended.is_set():
                complaint = check(manager.stats())
                watch.looks += 1
                if complaint and len(watch.violations) < 20:
                    watch.violations.append(complaint)

        sampler = Call(look)
        try:
            yield watch
        finally:
            ended.set()
            await sampler.aoutcome()

    def inside_task(self, manager: Any, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def task(ctx: Any, resource: Any, *args: Any) -> Any:
            return run_blocking(fn(OwnManager(manager), *args))

        return task

    def inside_hook(self, managers: list[Any], fn: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: run_blocking(fn(OwnManager(managers[0])))

    def audit(self) -> None:
        self.open_gates()
        for raw, resources in self._made:
            self._audit_one(raw, resources)
        self._made.clear()
        wait_until(lambda: not self._left(), 15, f"no thread is left: {self._left()}")

    def _audit_one(self, raw: Any, resources: ScriptedResources | None) -> None:
        killed = Call(raw.kill, 10).outcome().killed
        wait_until(lambda: raw.stats().resources.alive == 0, 10, f"{raw.name}: nothing is alive")
        self.check_ledger(raw.stats().resources, resources, killed)

    def _left(self) -> list[threading.Thread]:
        return [
            thread for thread in threading.enumerate() if thread not in self._before and thread.name != "contract-call"
        ]
