"""A paused InlineTaskManager runs nothing, whoever asks."""

from __future__ import annotations

import pytest

from tasker import Config, Context, DeadlockError, PausedError, QueueFull, ShutdownError, TaskHandedBack
from tasker.testing import InlineTaskManager


def echo(ctx: Context, resource: None, value: int) -> int:
    return value


def manager_of(**options: int) -> InlineTaskManager[None]:
    return InlineTaskManager(Config(on_create=lambda: None, worker_count=1, resource_pool_size=0, **options))


def test_nothing_runs_until_it_is_resumed() -> None:
    """`run_next`, a wait for a result and `run_task` run nothing; afterwards all runs as ever."""
    with manager_of() as manager:
        assert manager.pause() is True
        future = manager.submit(echo, 1)
        assert manager.run_next() is None
        assert manager.run_next(0) is None
        assert manager.run_next(future) is None
        with pytest.raises(DeadlockError, match="is paused"):
            future.result()
        with pytest.raises(TimeoutError):
            future.result(1.0)
        with pytest.raises(PausedError):
            manager.run_task(echo, 2)
        assert manager.stats().paused and "paused" in repr(manager)
        manager.resume()
        assert future.result() == 1
        assert manager.run_task(echo, 2) == 2


def test_a_full_queue() -> None:
    """No room comes in a pause."""
    with manager_of(max_queue_size=1) as manager:
        manager.pause()
        future = manager.submit(echo, 1)
        with pytest.raises(QueueFull):
            manager.submit(echo, 2)
        manager.resume()
        assert manager.submit(echo, 2).result() == 2
        assert future.result() == 1


def test_in_a_task() -> None:
    """There, only `pause(0)` is possible: the task itself runs."""
    with manager_of() as manager:

        def pausing(ctx: Context, resource: None) -> bool:
            with pytest.raises(DeadlockError):
                manager.pause()
            return manager.pause(0)

        assert manager.submit(pausing).result() is False
        assert manager.pause() is True


def test_a_stop_that_hands_back() -> None:
    """What has not run comes back, and can be given to another manager."""
    manager, other = manager_of(), manager_of()
    futures = [manager.submit(echo, n) for n in range(3)]
    manager.run_next()
    report = manager.stop(hand_back=True)
    assert [one.args for one in report.handed_back] == [(1,), (2,)]
    assert [future.cancelled() for future in futures] == [False, True, True]
    with pytest.raises(TaskHandedBack):
        futures[1].result()
    assert [one.resubmit(other).result() for one in report.handed_back] == [1, 2]
    other.stop()


def test_its_end() -> None:
    """`stop` runs what was accepted, and then there is nothing to be paused."""
    manager = manager_of()
    manager.pause()
    future = manager.submit(echo, 1)
    manager.stop()
    assert future.result() == 1
    with pytest.raises(ShutdownError):
        manager.pause()
    manager.resume()
