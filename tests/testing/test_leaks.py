"""``assert_no_leaks`` finds managers that were not ended, or not completely; nothing else."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tasker import AsyncTaskManager, Config, Context, ResourceError, TaskManager
from tasker.core import census
from tasker.testing import InlineTaskManager, ManagerWatch, assert_no_leaks


def config_of(**options: Any) -> Config[None]:
    return Config(on_create=lambda: None, **{"worker_count": 1, "resource_pool_size": 0, **options})


def nothing(ctx: Context, resource: None) -> None: ...


@pytest.fixture
def watch() -> Iterator[ManagerWatch]:
    watch = ManagerWatch()
    watch.begin()
    yield watch
    watch.end()
    watch.end()
    assert census.listeners == []


def test_nothing_is_wrong() -> None:
    """Managers of each kind that were ended in any way, and one that could not be started."""

    async def in_loop() -> None:
        async with AsyncTaskManager(config_of()) as manager:
            await manager.submit(nothing)
        await (await AsyncTaskManager(config_of())).kill()
        AsyncTaskManager(config_of())  # never started
        with pytest.raises(ResourceError):
            await AsyncTaskManager(Config(on_create=lambda: 1 // 0, worker_count=1))

    with assert_no_leaks() as watch:
        with TaskManager(config_of(resource_pool_size=1)) as manager:
            manager.queue_task(nothing)
        TaskManager(config_of()).kill()
        with InlineTaskManager(config_of()) as manager:
            manager.queue_task(nothing)
        for kind in (TaskManager, InlineTaskManager):
            with pytest.raises(ResourceError):
                kind(Config(on_create=lambda: 1 // 0, worker_count=1))
        asyncio.run(in_loop())
    assert watch.leaks(grace=0) == []


@pytest.mark.parametrize("kind", [TaskManager, InlineTaskManager])
def test_a_manager_that_runs_on(kind: Any) -> None:
    """It is named, with its numbers."""
    left: list[Any] = []
    with pytest.raises(AssertionError) as caught, assert_no_leaks(grace=0.01):
        left.append(kind(config_of(name="mine")))
        left[0].queue_task(nothing)
    left[0].stop()
    assert str(caught.value) == (
        f"managers were left behind:\n{kind.__name__} 'mine' was not stopped;"
        " tasks: 0 queued, 0 running, 1 done; resources: 1 created, 0 destroyed, 0 lost"
    )


def test_whose_resources_are_left(watch: ManagerWatch) -> None:
    """With debug=True the text names the workers whose resources are left, and what has made them."""
    manager = TaskManager(config_of(name="crew", debug=True))
    manager.queue_task(nothing)
    (text,) = watch.leaks(grace=0)
    assert "1 created, 0 destroyed, 0 lost\nthe resource of crew-1, made by config_of.<locals>.<lambda> (" in text
    manager.stop()
    assert watch.leaks(grace=5) == []


def test_a_manager_of_a_loop_that_ends(watch: ManagerWatch) -> None:
    """The end of the loop kills it: nobody has stopped it."""

    async def main() -> AsyncTaskManager[None]:
        manager = await AsyncTaskManager(config_of())
        await manager.submit(nothing)
        return manager

    manager = asyncio.run(main())
    (found,) = watch.leaks(grace=0.01)
    assert found.startswith("AsyncTaskManager 'tasker' was not stopped, but killed: its event loop ends; ")
    assert manager.closed


def test_managers_that_are_dropped(watch: ManagerWatch) -> None:
    """The finalizer kills them, or closes the door of an inline one."""

    async def main() -> None:
        await AsyncTaskManager(config_of(name="b"))
        gc.collect()
        await asyncio.sleep(0.05)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TaskManager(config_of(name="a"))
        asyncio.run(main())
        InlineTaskManager(config_of(name="c"))
        gc.collect()
    threaded, in_loop, inline = watch.leaks(grace=0.5)
    why = "it was collected without stop()"
    assert threaded.startswith(f"TaskManager 'a' was not stopped, but killed: {why}; ")
    assert in_loop.startswith(f"AsyncTaskManager 'b' was not stopped, but killed: {why}; ")
    assert inline.startswith("InlineTaskManager 'c' has not ended, running: ")
    assert why in inline


def test_a_thread_and_a_resource_that_were_abandoned(watch: ManagerWatch) -> None:
    """A kill that a task ignores leaves a thread and a resource behind; both are named, until they end."""
    hold, held = threading.Event(), threading.Event()

    def holds(ctx: Context, resource: None) -> None:
        held.set()
        hold.wait()

    manager = TaskManager(config_of())
    manager.submit(holds)
    held.wait()
    manager.kill(0.05)
    first, second = watch.leaks(grace=0.01)
    assert first.startswith("TaskManager 'tasker' has not destroyed each of its resources; ")
    assert second == "TaskManager 'tasker' has ended, and its thread 'tasker-1' still runs"
    hold.set()
    assert watch.leaks(grace=20) == []


def test_a_thread_of_a_callback(watch: ManagerWatch) -> None:
    """Callbacks of killed tasks run in a thread of the manager's own, which a kill leaves behind at its deadline."""
    hold, held = threading.Event(), threading.Event()
    busy, release = threading.Event(), threading.Event()

    def occupies(ctx: Context, resource: None) -> None:
        busy.set()
        release.wait()

    def callback(result: object, error: BaseException | None) -> None:
        held.set()
        hold.wait()

    manager = TaskManager(config_of())
    manager.submit(occupies)
    busy.wait()
    manager.submit(nothing, callback=callback)
    killer = threading.Thread(target=manager.kill, args=(0.1,))
    killer.start()
    held.wait()
    release.set()
    killer.join()
    assert watch.leaks(grace=0.5) == ["TaskManager 'tasker' has ended, and its thread 'tasker-callbacks' still runs"]
    hold.set()
    assert watch.leaks(grace=20) == []


def test_a_thread_of_a_loop(watch: ManagerWatch) -> None:
    """The thread in which an AsyncTaskManager runs plain functions is found as well."""
    hold, held = threading.Event(), threading.Event()

    def holds(ctx: Context, resource: None) -> None:
        held.set()
        hold.wait()

    async def main() -> None:
        manager = await AsyncTaskManager(config_of())
        manager.submit(holds)
        while not held.is_set():
            await asyncio.sleep(0.001)
        await manager.kill(0.05)
        found = watch.leaks(grace=0.01)
        hold.set()
        assert "AsyncTaskManager 'tasker' has ended, and its thread 'tasker-1' still runs" in found

    asyncio.run(main())
    assert watch.leaks(grace=20) == []


def test_threads_of_other_managers_are_not_blamed() -> None:
    """Though they have the same names; nor are other threads."""
    hold = threading.Event()
    other = threading.Thread(target=hold.wait, name="tasker-1")
    other.start()
    with TaskManager(config_of()) as outer, assert_no_leaks(grace=0.01), TaskManager(config_of()) as manager:
        outer.queue_task(nothing)
        manager.queue_task(nothing)
    hold.set()
    other.join()


def test_the_innermost_watch_has_a_manager() -> None:
    """So a manager of a fixture of the module is not one of the test that happens to come first."""
    with assert_no_leaks(grace=0.01):
        with pytest.raises(AssertionError), assert_no_leaks(grace=0.01):
            manager = TaskManager(config_of())
        manager.stop()
        inner = ManagerWatch()
        inner.begin()
        second = TaskManager(config_of())
        inner.end()
    assert len(inner.leaks(grace=0.01)) == 1
    second.stop()


def test_an_error_goes_first() -> None:
    """What is raised inside is not hidden by what was left."""
    left = []
    with pytest.raises(ZeroDivisionError), assert_no_leaks(grace=0.01):
        left.append(TaskManager(config_of()))
        _ = 1 // 0
    left[0].stop()


def test_those_that_have_ended_well_are_forgotten(watch: ManagerWatch) -> None:
    """A test of many managers does not keep them all."""
    left = InlineTaskManager(config_of())
    for _ in range(200):
        InlineTaskManager(config_of()).stop()
    assert len(watch._engines) < 100
    assert len(watch.leaks(grace=0.01)) == 1
    left.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_child_has_no_managers(watch: ManagerWatch) -> None:
    """Those that it has inherited are its parent's."""
    with TaskManager(config_of()) as manager:
        manager.queue_task(nothing)
        pid = os.fork()
        if not pid:
            os._exit(len(watch.leaks(grace=0)))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(watch.leaks(grace=0)) == 1
