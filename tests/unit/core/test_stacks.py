"""Where a thread or a coroutine is, without the frames of the library."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import coroutine
from typing import Any

from support.waiting import eventually, wait_until
from tasker import AsyncTaskManager, Config, Context, TaskManager
from tasker.core.stacks import stack_of_awaitable, stack_of_thread, stack_of_worker


def test_a_thread_that_is_not_there() -> None:
    """Nothing is known of it."""
    assert stack_of_thread(None) == ""
    assert stack_of_thread(-1) == ""
    assert stack_of_awaitable(None) == ""
    assert stack_of_worker(None, "no such thread") == ""


class Detached:
    """Raises at each attribute, as a proxy does whose target is gone."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_an_awaitable_of_which_nothing_can_be_asked() -> None:
    """Nothing is known of it, and no error is raised."""
    assert stack_of_awaitable(Detached()) == ""


def deep(levels: int, arrived: threading.Event, leave: threading.Event) -> None:
    """Waits in a call of a call."""
    if levels:
        deep(levels - 1, arrived, leave)
    else:
        arrived.set()
        leave.wait(60)


def test_a_task_in_a_thread() -> None:
    """The lines begin with the function that the library calls, and of many only the innermost are shown."""
    arrived, leave = threading.Event(), threading.Event()
    with TaskManager(Config(on_create=object, worker_count=1, name="crew")) as m:
        future = m.submit(lambda ctx, resource: deep(3, arrived, leave))
        assert arrived.wait(30)
        found = stack_of_worker(None, "crew-1")
        leave.set()
        future.result(30)
        assert found.count("in deep") == 4
        assert "worker_loop" not in found
        assert found.index("in <lambda>") < found.index("in deep")
        arrived, leave = threading.Event(), threading.Event()
        future = m.submit(lambda ctx, resource: deep(100, arrived, leave))
        assert arrived.wait(30)
        found = stack_of_worker(None, "crew-1")
        leave.set()
        future.result(30)
        assert found.count("in deep") < 20
        assert "in wait" in found


def test_a_worker_that_waits_for_tasks() -> None:
    """It is in no function of the user's."""
    with TaskManager(Config(on_create=object, worker_count=1, name="idle")) as m:
        m.queue_task(lambda ctx, resource: None)
        wait_until(lambda: stack_of_worker(None, "idle-1") == "", 30)


@coroutine
def suspended() -> Iterator[Any]:
    """Waits."""
    yield "future"


async def inner() -> None:
    """Awaits that."""
    await suspended()


async def waits(ctx: Context, resource: object) -> None:
    """Waits in a method of the library."""
    await ctx.wait_async()


async def outer(ctx: Context | None) -> None:
    """Awaits a coroutine."""
    await inner()


def test_a_coroutine() -> None:
    """Down to what it waits for; one that is over is nowhere."""
    running = outer(None)
    assert running.send(None) == "future"
    # Outside of a worker there is no frame of the library to begin behind.
    found = stack_of_awaitable(running)
    assert found.index("in outer") < found.index("in inner") < found.index("in suspended")
    running.close()
    assert stack_of_awaitable(running) == ""


def test_a_coroutine_that_waits_in_the_library() -> None:
    """It is shown from where the library calls it, and not only what the library calls in turn."""

    async def look() -> str:
        async with AsyncTaskManager(Config(on_create=object, worker_count=1, name="waits")) as m:
            future = m.submit(waits)
            await eventually(lambda: "in wait_async\n" in m.worker_stack("waits-1"))
            found = m.worker_stack("waits-1")
            future.cancel()
            return found

    found = asyncio.run(look())
    assert found.splitlines()[0].endswith("in waits")
    assert found.index("in waits\n") < found.index("in wait_async\n") < found.index("in wait\n")
