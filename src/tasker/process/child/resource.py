"""The resource in its child: made, used and ended in one thread, by functions of either kind.

For an ``AsyncTaskManager`` there is one event loop, which runs while a coroutine of the resource or of a task does.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from tasker.core.probing import RETURNED_FALSE
from tasker.process.protocol.setups import ResourceSetup


class Resource:
    """One resource, from its creation to its end."""

    def __init__(self, setup: ResourceSetup) -> None:
        self._setup = setup
        self._loop: Any = None
        self._end: Callable[[], Any] | None = None
        self._resource: Any = None
        self.running: Any = None
        """The coroutine that runs."""

    def make(self) -> None:
        """Makes the resource; raises what the user's function raises."""
        setup = self._setup
        if setup.resource is None:
            assert setup.create is not None
            self._resource = self._whole(setup.create(*setup.arguments))
            destroy = setup.destroy
            self._end = None if destroy is None else lambda: destroy(self._resource)
            return
        manager = setup.resource(*setup.arguments)
        if setup.asynchronous:
            manager = self._whole(manager)
        if hasattr(type(manager), "__aenter__") and setup.asynchronous:
            self._resource = self._whole(manager.__aenter__())
            self._end = lambda: manager.__aexit__(None, None, None)
        else:
            self._resource = manager.__enter__()
            self._end = lambda: manager.__exit__(None, None, None)

    def call(self, run: Callable[..., Any], task: Any, context: Any, args: tuple[Any, ...]) -> Any:
        """Runs a task with it. ``context.interrupt`` then cancels it from another thread, where it is a coroutine."""
        value = run(task, context, self._resource, *args)
        if self._setup.asynchronous and hasattr(type(value), "__await__"):
            return self._whole(value, run, context)
        return value

    def reset(self) -> None:
        """Calls ``on_return``; raises what it raises."""
        on_return = self._setup.on_return
        assert on_return is not None
        self._whole(on_return(self._resource))

    def check(self) -> str | None:
        """Calls ``check_resource``. Returns why the resource is to be replaced, or None; raises what it raises."""
        check = self._setup.check_resource
        assert check is not None
        return RETURNED_FALSE if self._whole(check(self._resource)) is False else None

    def end(self) -> None:
        """Ends the resource, and lets go of it; raises what the user's function raises."""
        try:
            if self._end is not None:
                self._whole(self._end())
        finally:
            self._resource = self._end = None
            if self._loop is not None:
                self._close_loop()

    def _whole(self, value: Any, run: Callable[..., Any] | None = None, context: Any = None) -> Any:
        """Returns the value; where it is to be awaited, what that gives."""
        if not self._setup.asynchronous or not hasattr(type(value), "__await__"):
            return value
        import asyncio  # noqa: PLC0415  a child of a threaded manager does not need it

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        loop = self._loop
        awaited = value if type(value) is CoroutineType else _await(value)
        task = loop.create_task(awaited) if run is None else run(loop.create_task, awaited)
        if context is not None:
            context.interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
            if context.cancelled:
                task.cancel()
        self.running = awaited
        try:
            return loop.run_until_complete(task)
        finally:
            self.running = None
            if not task.done():  # SIGTERM struck
                task.cancel()
                # A part of the second that is left then: most of it is for ``on_destroy``.
                loop.run_until_complete(asyncio.wait([task], timeout=0.25))

    def _close_loop(self) -> None:
        import asyncio  # noqa: PLC0415

        loop, self._loop = self._loop, None
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=1))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _await(value: Any) -> Any:
    return await value
