"""Tests the callbacks of a refresh in a manager of threads: they run beside the supervisor, and hold up no deadline."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import threading
from typing import Any

from support.waiting import WAIT, Call, wait_until
from tasker import Config, TaskManager


def config() -> Config[Any]:
    """One worker, which is renewed only between its tasks."""
    return Config(on_create=object, worker_count=1, max_worker_count=1, burst_interval=0)


def test_they_run_in_a_thread_of_their_own() -> None:
    """One may wait for a task of its manager, and its error is counted."""
    gate, begun, seen = threading.Event(), threading.Event(), []

    def told(refresh: Any) -> None:
        seen.append((refresh.result(), manager.queue_task(lambda ctx, resource: 7)))
        raise ValueError("from a callback")

    with TaskManager(config()) as manager:
        manager.submit(lambda ctx, resource: (begun.set(), gate.wait(WAIT)))
        assert begun.wait(WAIT)
        refresh = manager.refresh()
        refresh.add_done_callback(told)
        gate.set()
        assert refresh.result(WAIT) is True
        wait_until(lambda: seen)
    assert seen == [(True, 7)]
    assert manager.stats().user_errors == 1


def test_one_that_hangs_is_left_behind() -> None:
    """The kill, which ends the refresh, returns by its deadline, and names it."""
    gate, begun, seen = threading.Event(), threading.Event(), []

    def hangs(refresh: Any) -> None:
        seen.append(refresh.result())
        gate.wait(WAIT)

    manager = TaskManager(config())
    manager.submit(lambda ctx, resource: (begun.set(), gate.wait(WAIT)))
    assert begun.wait(WAIT)
    manager.refresh().add_done_callback(hangs)
    try:
        report = manager.kill(0.2)
        wait_until(lambda: seen == [False])
    finally:
        gate.set()
    assert report.abandoned[1:] == ("the callback of a refresh",)
    assert manager.kill(WAIT).abandoned == report.abandoned


def test_a_stop_waits_for_those_of_a_refresh_that_it_ends() -> None:
    """They have returned when it has."""
    gate, begun, seen = threading.Event(), threading.Event(), []

    def told(refresh: Any) -> None:
        threading.Event().wait(0.05)  # so that a stop that does not wait has time to return
        seen.append(refresh.result())

    with TaskManager(config()) as manager:
        manager.submit(lambda ctx, resource: (begun.set(), gate.wait(WAIT)))
        assert begun.wait(WAIT)
        manager.refresh().add_done_callback(told)
        stop = Call(manager.stop)
        wait_until(lambda: manager._engine.closed)
        gate.set()
        stop.outcome(WAIT)
        assert seen in ([True], [False])


def test_a_loop_awaits_it() -> None:
    """Also in a worker of the same manager, where the loop does not count as one that waits for a task."""
    gate, begun = threading.Event(), threading.Event()

    def awaits(ctx: Any, resource: object, refresh: Any) -> bool:
        async def main() -> bool:
            return await asyncio.wrap_future(refresh)

        return asyncio.run(main())

    with TaskManager(config()) as manager:
        held = manager.submit(lambda ctx, resource: (begun.set(), gate.wait(WAIT)))
        assert begun.wait(WAIT)
        refresh = manager.refresh()
        other = manager.submit(awaits, refresh)
        wait_until(lambda: next(iter(manager._engine.workers.values())).outdated)  # so that a new one takes the task
        gate.set()
        assert other.result(WAIT) is True
        assert cf.wait([held, refresh], WAIT).not_done == set()
