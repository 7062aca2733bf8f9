"""Whoever waits for a task of an InlineTaskManager runs what is queued, up to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tasker import Config, Context, DeadlockError, QueueFull, TaskCancelled
from tasker.testing import InlineTaskManager, ManualClock


def config_of(**options: Any) -> Config[None]:
    defaults = {"worker_count": 1, "max_worker_count": 1, "resource_pool_size": 0}
    return Config(on_create=lambda: None, **{**defaults, **options})


@pytest.fixture
def manager() -> Iterator[InlineTaskManager[None]]:
    with InlineTaskManager(config_of()) as manager:
        yield manager


def value_of(ctx: Context, resource: None, value: Any) -> Any:
    return value


def test_result_runs_what_is_queued_up_to_it(manager: InlineTaskManager[None]) -> None:
    """And no more."""
    futures = [manager.submit(value_of, n) for n in range(4)]
    assert futures[2].result() == 2
    assert [future.done() for future in futures] == [True, True, True, False]
    assert futures[3].exception() is None


def test_timeouts_are_of_the_clock(manager: InlineTaskManager[None]) -> None:
    """Zero seconds only look; tasks that take longer than that raise ``TimeoutError``, when one has ended."""
    slow = [manager.submit(lambda ctx, resource: ctx.wait(10)) for _ in range(3)]
    with pytest.raises(TimeoutError, match="has no outcome after 0 seconds"):
        slow[0].result(timeout=0)
    assert not slow[0].done()
    with pytest.raises(TimeoutError):
        slow[2].exception(timeout=15)
    assert [future.done() for future in slow] == [True, True, False]
    assert slow[2].result(timeout=15) is False


def test_wait_and_as_completed(manager: InlineTaskManager[None]) -> None:
    """Those of ``concurrent.futures``, with all their ways to wait."""
    futures = [manager.submit(value_of, n) for n in range(4)]
    done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED)
    assert done == {futures[0]}
    assert concurrent.futures.wait(futures[:3]).done == set(futures[:3])
    assert [future.result() for future in concurrent.futures.as_completed(futures)][-1] == 3

    def fails(ctx: Context, resource: None) -> None:
        raise ValueError

    more = [manager.submit(value_of, 1), manager.submit(fails), manager.submit(value_of, 2)]
    done, rest = concurrent.futures.wait(more, return_when=concurrent.futures.FIRST_EXCEPTION)
    assert (done, rest) == ({more[0], more[1]}, {more[2]})
    more[2].cancel()
    assert concurrent.futures.wait(more).not_done == set()


def test_wait_with_a_timeout(manager: InlineTaskManager[None]) -> None:
    """In seconds of the clock."""
    slow = [manager.submit(lambda ctx, resource: ctx.wait(10)) for _ in range(3)]
    done, rest = concurrent.futures.wait(slow, timeout=15)
    assert (len(done), len(rest)) == (2, 1)
    with pytest.raises(TimeoutError):
        list(concurrent.futures.as_completed([*slow, *[manager.submit(value_of, 1)]], timeout=0))


def test_wait_for_futures_of_two_managers(manager: InlineTaskManager[None]) -> None:
    """The tasks of both are run."""
    with InlineTaskManager(config_of()) as other:
        futures = [manager.submit(value_of, 1), other.submit(value_of, 2)]
        assert {future.result() for future in concurrent.futures.as_completed(futures)} == {1, 2}


def test_wait_for_futures_of_another_executor(manager: InlineTaskManager[None]) -> None:
    """They come from another thread, which is waited for once the queued tasks have run."""
    go = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        foreign = executor.submit(go.wait)
        future = manager.submit(lambda ctx, resource: go.set())
        assert concurrent.futures.wait([foreign, future]).done == {foreign, future}


def test_in_a_loop(manager: InlineTaskManager[None]) -> None:
    """``await`` of a future, ``gather``, ``wrap_future`` and ``run_in_executor``."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        return [
            await manager.submit(value_of, 1),
            *await asyncio.gather(manager.submit(value_of, 2), manager.submit(value_of, 3)),
            await asyncio.wrap_future(manager.submit(value_of, 4)),
            await loop.run_in_executor(manager.as_executor(), pow, 2, 10),
        ]

    assert asyncio.run(main()) == [1, 2, 3, 4, 1024]


def test_a_callback_does_not_run_the_task(manager: InlineTaskManager[None]) -> None:
    """Only what waits does; nor does a callback that is added in a loop."""
    seen: list[Any] = []

    async def main() -> None:
        manager.submit(value_of, 1).add_done_callback(seen.append)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert seen == []
    manager.run_all()
    assert len(seen) == 1


def test_the_executor(manager: InlineTaskManager[None]) -> None:
    """``shutdown`` runs what was submitted through the view, and can cancel it instead."""
    executor = manager.as_executor()
    future = executor.submit(pow, 2, 3)
    assert not future.done()
    executor.shutdown()
    assert future.result() == 8
    other = manager.as_executor()
    cancelled = other.submit(pow, 2, 3)
    other.shutdown(cancel_futures=True)
    assert cancelled.cancelled()


def test_a_task_that_waits_for_another_needs_a_second_worker(manager: InlineTaskManager[None]) -> None:
    """As in a ``TaskManager``: each that waits occupies a worker, and one that would wait for ever gets an error that
    names both. A wait with a limit times out."""

    def outer(ctx: Context, resource: None, timeout: float | None) -> Any:
        return manager.submit(value_of, 1).result(timeout)

    with pytest.raises(DeadlockError, match=r"task #2 .*value_of.* would never run.*task #1 .*outer"):
        manager.queue_task(outer, None)
    before = manager.clock.now()
    with pytest.raises(TimeoutError):
        manager.queue_task(outer, 30)
    assert manager.clock.now() == before + 30
    manager.resize(max_worker_count=2)
    assert manager.queue_task(outer, None) == 1


def test_a_burst_worker_starts_where_tasks_wait_for_each_other() -> None:
    """Up to ``max_worker_count``, unless ``burst_interval`` is 0."""

    def run(**options: Any) -> Any:
        with InlineTaskManager(config_of(max_worker_count=3, **options)) as manager:

            def nested(ctx: Context, resource: None, depth: int) -> int:
                return 0 if not depth else 1 + manager.queue_task(nested, depth - 1)

            return manager.queue_task(nested, 2), manager.stats().active_workers

    assert run() == (2, 3)
    with pytest.raises(DeadlockError):
        run(burst_interval=0)


def test_a_task_that_waits_for_itself(manager: InlineTaskManager[None]) -> None:
    """No queued task could end that wait; every way to wait for it says so."""
    own: list[Any] = []

    def waits(ctx: Context, resource: None, how: Any) -> None:
        how(own[-1])

    for how in (
        lambda future: future.result(),
        lambda future: concurrent.futures.wait([future]),
        lambda future: list(concurrent.futures.as_completed([future])),
    ):
        own.append(manager.submit(waits, how))
        with pytest.raises(DeadlockError):
            own[-1].result()


def test_a_wait_that_the_clock_can_end(manager: InlineTaskManager[None]) -> None:
    """Where no task can run, time passes to the next call of the clock, which may submit or cancel one."""
    own: list[Any] = []

    def waits_for_itself(ctx: Context, resource: None) -> Any:
        manager.clock.call_later(5, lambda: own.append(manager.submit(value_of, "late")))
        queued = manager.submit(value_of, 1)
        manager.clock.call_later(3, queued.cancel)
        return queued.result()

    with pytest.raises(TaskCancelled):
        manager.queue_task(waits_for_itself)
    manager.clock.advance(5)
    assert own[0].result() == "late"


def test_a_full_queue_runs_tasks() -> None:
    """``submit`` makes room by running the next task; ``block=False`` refuses; ``queue_timeout`` is of the clock."""
    clock = ManualClock(0)
    with InlineTaskManager(config_of(max_queue_size=2), clock=clock) as manager:
        futures = [manager.submit(value_of, n) for n in range(5)]
        assert [future.done() for future in futures] == [True, True, True, False, False]
        with pytest.raises(QueueFull):
            manager.submit(value_of, 5, block=False)
        with pytest.raises(QueueFull):
            manager.submit(value_of, 5, queue_timeout=0)
        assert manager.submit(value_of, 6, queue_timeout=1).result() == 6

        def submits_too_many(ctx: Context, resource: None) -> None:
            for n in range(3):
                manager.submit(value_of, n)

        with pytest.raises(DeadlockError):
            manager.queue_task(submits_too_many)


def test_a_manager_that_closes_while_a_submit_makes_room() -> None:
    """The submission is refused."""
    parent = ManualClock(0).context().child()
    with InlineTaskManager(config_of(max_queue_size=1, ctx=parent)) as manager:
        manager.submit(lambda ctx, resource: parent.cancel("over"))
        with pytest.raises(RuntimeError, match="its parent context ended"):
            manager.submit(value_of, 1)


def test_a_callback_may_wait(manager: InlineTaskManager[None]) -> None:
    """A callback of a task that no worker has ended may wait for another one."""
    seen: list[Any] = []
    first = manager.submit(value_of, 1, callback=lambda *outcome: seen.append(manager.queue_task(value_of, 2)))
    first.cancel()
    assert seen == [2]


def test_group_waits_that_never_end(manager: InlineTaskManager[None]) -> None:
    """``map`` without an order, and ``shutdown`` of an executor, in a task that occupies the only worker."""

    def maps(ctx: Context, resource: None) -> Any:
        return list(manager.map(value_of, range(3), ordered=False))

    def shuts_down(ctx: Context, resource: None) -> None:
        executor = manager.as_executor()
        executor.submit(pow, 2, 3)
        executor.shutdown()

    for task in (maps, shuts_down):
        with pytest.raises(DeadlockError):
            manager.queue_task(task)


def test_a_wait_that_its_own_future_ends_by_the_clock(manager: InlineTaskManager[None]) -> None:
    """The task that blocks is cancelled by the clock in the middle of the wait for a worker."""
    waiting: list[Any] = []

    def outer(ctx: Context, resource: None) -> Any:
        waiting.append(manager.submit(value_of, 1))
        manager.clock.call_later(5, waiting[0].cancel)
        return waiting[0].result(timeout=30)

    with pytest.raises(TaskCancelled):
        manager.queue_task(outer)
    assert waiting[0].cancelled()
