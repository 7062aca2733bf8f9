"""In an InlineTaskManager a task runs when the test says so, in an order that the test knows."""

from __future__ import annotations

import operator
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tasker import Config, ConfigError, Context, Priority, ProcessBackend, ShutdownError, TaskKilled
from tasker.testing import InlineFuture, InlineTaskManager, ManualClock


def config_of(**options: Any) -> Config[None]:
    return Config(on_create=lambda: None, **{"worker_count": 1, "resource_pool_size": 0, **options})


@pytest.fixture
def manager() -> Iterator[InlineTaskManager[None]]:
    with InlineTaskManager(config_of()) as manager:
        yield manager


def note(ctx: Context, resource: None, seen: list[Any], value: Any) -> Any:
    seen.append(value)
    return value


def test_nothing_runs_by_itself(manager: InlineTaskManager[None]) -> None:
    """A submitted task waits; ``run_next`` runs one attempt, and returns its future."""
    seen: list[int] = []
    first, second = manager.submit(note, seen, 1), manager.submit(note, seen, 2)
    assert isinstance(first, InlineFuture)
    assert (seen, manager.pending, first.done(), first.running()) == ([], (first, second), False, False)
    assert repr(manager) == "<InlineTaskManager 'tasker' running, 2 pending>"
    assert manager.run_next() is first
    assert (seen, manager.pending, first.done(), second.done()) == ([1], (second,), True, False)
    assert manager.run_next() is second
    assert manager.run_next() is None
    assert seen == [1, 2]


def test_the_order_is_that_of_a_manager(manager: InlineTaskManager[None]) -> None:
    """Strict priorities, and within one the order of submission."""
    seen: list[str] = []
    for name, priority in (
        ("report", Priority.LOW),
        ("page", Priority.NORMAL),
        ("payment", Priority.HIGH),
        ("page 2", Priority.NORMAL),
        ("payment 2", Priority.HIGH),
    ):
        manager.submit(note, seen, name, priority=priority)
    assert manager.run_all() == 5
    assert seen == ["payment", "payment 2", "page", "page 2", "report"]


def test_the_test_chooses(manager: InlineTaskManager[None]) -> None:
    """By index into ``pending``, or by the future."""
    seen: list[int] = []
    futures = [manager.submit(note, seen, n) for n in range(5)]
    assert manager.run_next(2) is futures[2]
    assert manager.run_next(-1) is futures[4]
    assert manager.run_next(futures[1]) is futures[1]
    with pytest.raises(ValueError, match="does not wait"):
        manager.run_next(futures[1])
    with pytest.raises(IndexError):
        manager.run_next(2)
    assert seen == [2, 4, 1]


def test_order_chooses() -> None:
    """A function chooses among the queued tasks; with a seed, the same ones each time."""

    def played(order: Any) -> list[int]:
        seen: list[int] = []
        with InlineTaskManager(config_of(), order=order) as manager:
            for n in range(8):
                manager.submit(note, seen, n)
            manager.run_all()
        return seen

    assert played(operator.itemgetter(-1)) == [7, 6, 5, 4, 3, 2, 1, 0]
    first = played(random.Random(7).choice)
    assert first == played(random.Random(7).choice)
    assert sorted(first) == list(range(8)) != first


def test_an_order_that_returns_something_else_is_refused() -> None:
    """``ValueError``, and the task still waits."""
    with InlineTaskManager(config_of(), order=lambda futures: futures[0] if done else None) as manager:  # type: ignore[arg-type, return-value]
        done: list[bool] = []
        manager.submit(note, [], 1)
        with pytest.raises(ValueError, match="order must return one of the tasks"):
            manager.run_next()
        assert len(manager.pending) == 1
        done.append(True)


def test_run_all_runs_what_tasks_submit(manager: InlineTaskManager[None]) -> None:
    """And tells how many attempts there were; tasks that submit each other without end are refused at a limit."""

    def counts_down(ctx: Context, resource: None, n: int) -> None:
        if n:
            manager.submit(counts_down, n - 1)

    manager.submit(counts_down, 3)
    assert (manager.run_all(), manager.run_all()) == (4, 0)
    manager.submit(counts_down, 3)
    assert manager.run_all(limit=4) == 4
    manager.submit(counts_down, 9)
    with pytest.raises(RuntimeError, match="1 tasks still wait after 3 attempts"):
        manager.run_all(limit=3)


def test_a_cancelled_task_does_not_run(manager: InlineTaskManager[None]) -> None:
    """It is no longer pending, whichever it was."""
    seen: list[int] = []
    futures = [manager.submit(note, seen, n) for n in range(3)]
    assert futures[0].cancel() and futures[1].cancel()
    assert manager.pending == (futures[2],)
    assert manager.run_all() == 1
    assert seen == [2]


def test_many_cancelled_tasks(manager: InlineTaskManager[None]) -> None:
    """In a long queue too, where ended tasks stay for a while."""
    seen: list[int] = []
    futures = [manager.submit(note, seen, n) for n in range(3000)]
    for future in futures[:-2]:
        future.cancel()
    assert manager.pending == tuple(futures[-2:])
    assert manager.run_all() == 2
    stats = manager.stats()
    assert (seen, stats.done_tasks, stats.queued_tasks) == ([2998, 2999], 3000, 0)


def test_no_thread_and_no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs, runs in the calling thread, and ``ctx.wait`` takes no time."""
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("it sleeps"))
    threads: set[threading.Thread] = set()

    def body(ctx: Context, resource: None) -> None:
        threads.add(threading.current_thread())
        ctx.wait(3600)

    before = threading.enumerate()
    with InlineTaskManager(config_of(worker_count=4, on_destroy=lambda resource: None)) as manager:
        list(manager.map(body_of(body), range(5)))
        manager.run_task(body)
        assert threading.enumerate() == before
    assert threads == {threading.current_thread()}


def body_of(task: Any) -> Any:
    return lambda ctx, resource, item: task(ctx, resource)


def test_deadlines_are_those_of_the_clock() -> None:
    """``with_timeout`` in a task ends when the clock has moved; timestamps are moments of the clock."""
    clock = ManualClock(100)
    with InlineTaskManager(config_of(), clock=clock) as manager:
        assert manager.clock is clock

        def polls(ctx: Context, resource: None) -> tuple[int, float]:
            limited, polled = ctx.with_timeout(5), 0
            while not limited.wait(2):
                polled += 1
            return polled, clock.now()

        future = manager.submit(polls)
        clock.advance(10)
        assert future.result() == (2, 115)
        assert future.timestamps == (100, 110, 115)
        assert manager.metrics().max_execution_time == 5
        assert manager.run_task(polls) == (2, 120)


def test_the_clock_cancels_in_the_middle_of_a_task() -> None:
    """What the clock calls while a task waits happens in the middle of the task, as from another thread."""
    clock = ManualClock(0)
    with InlineTaskManager(config_of(), clock=clock) as manager:

        def patient(ctx: Context, resource: None) -> float:
            ctx.wait(60)
            ctx.raise_if_cancelled()
            return clock.now()

        future = manager.submit(patient)
        clock.call_later(7, future.cancel)
        assert manager.run_next() is future
        assert future.cancelled()
        assert clock.now() == 7


def test_a_kill_in_the_middle_of_a_task() -> None:
    """The clock stands for another thread: the context of the task is cancelled, callbacks are called, what waits is
    killed, and the resource is destroyed when the task has ended."""
    clock, seen = ManualClock(0), []  # type: ignore[var-annotated]
    manager = InlineTaskManager(config_of(on_destroy=lambda resource: seen.append("destroyed")), clock=clock)

    def patient(ctx: Context, resource: None) -> None:
        ctx.on_cancel(lambda: seen.append("told"))
        assert ctx.wait()
        seen.append("tidied up")
        ctx.raise_if_cancelled()

    running, queued = manager.submit(patient), manager.submit(note, seen, 1)
    clock.call_later(7, manager.kill)
    manager.run_all()
    assert seen == ["told", "tidied up", "destroyed"]
    for future in (running, queued):
        with pytest.raises(TaskKilled, match=r"kill\(\) was called"):
            future.result()
    report = manager.kill()
    assert (report.killed, report.killed_tasks, manager.stats().resources.alive) == (True, 1, 0)


def test_a_stop_in_the_middle_of_a_task() -> None:
    """The task goes on, and what was accepted runs; no more tasks are accepted."""
    clock, seen = ManualClock(0), []  # type: ignore[var-annotated]
    manager = InlineTaskManager(config_of(), clock=clock)

    def submits_late(ctx: Context, resource: None) -> bool:
        cancelled = ctx.wait(10)
        with pytest.raises(ShutdownError):
            manager.submit(note, seen, 2)
        return cancelled

    future = manager.submit(submits_late)
    manager.submit(note, seen, 1)
    clock.call_later(7, manager.stop)
    assert future.result() is False
    assert not manager.stop().killed
    assert seen == [1]


def test_stop_with_a_timeout_is_timed_by_the_clock() -> None:
    """Tasks run until the time is over; the rest is killed, and the report says so."""
    manager = InlineTaskManager(config_of())
    futures = [manager.submit(lambda ctx, resource: ctx.wait(10)) for _ in range(4)]
    report = manager.stop(25)
    assert (report.killed, report.killed_tasks, report.seconds) == (True, 1, 30)
    assert [future.cancelled() for future in futures] == [False, False, False, True]
    assert manager.stop().killed


def test_kill_ends_what_waits() -> None:
    """Queued tasks end as killed, and do not run."""
    seen: list[int] = []
    manager = InlineTaskManager(config_of())
    futures = [manager.submit(note, seen, n) for n in range(2500)]
    report = manager.kill()
    assert (report.killed, report.killed_tasks, seen) == (True, 2500, [])
    with pytest.raises(TaskKilled):
        futures[-1].result()
    assert manager.pending == ()


def test_the_parent_context_ends_it() -> None:
    """Its cancellation, or its deadline on the clock, closes the manager; what was accepted runs when it is told to, and
    then the resources are destroyed."""
    for end in ("cancel", "deadline"):
        clock, destroyed, seen = ManualClock(0), [], []  # type: ignore[var-annotated]
        parent = clock.context().with_timeout(60)
        manager = InlineTaskManager(config_of(ctx=parent, on_destroy=destroyed.append), clock=clock)
        manager.queue_task(note, seen, 0)
        manager.submit(note, seen, 1)
        if end == "cancel":
            parent.cancel("over")
        else:
            clock.advance(60)
        with pytest.raises(ShutdownError, match="its parent context ended"):
            manager.submit(note, seen, 2)
        assert (manager.closed, seen, destroyed) == (True, [0], [])
        manager.run_all()
        assert (seen, destroyed) == ([0, 1], [None])
        assert not manager.stop().killed


def test_a_backend_is_ignored() -> None:
    """Tasks and resources stay in this process, so a configuration for child processes can be used."""
    with InlineTaskManager(config_of(backend=ProcessBackend())) as manager:
        seen: list[int] = []
        manager.queue_task(note, seen, 1)
        assert seen == [1]


def test_no_signals() -> None:
    """``stop_on_signals`` does nothing, in any thread."""
    with InlineTaskManager(config_of()) as manager, manager.stop_on_signals() as received:
        assert manager.queue_task(note, [], 1) == 1
    assert not received


def test_a_manager_that_is_dropped_warns() -> None:
    """As a ``TaskManager`` does; nothing of the user's is called by the finalizer."""
    destroyed: list[None] = []
    manager = InlineTaskManager(config_of(on_destroy=destroyed.append))
    manager.queue_task(note, [], 1)
    with pytest.warns(ResourceWarning, match=r"was collected without stop\(\) or kill\(\)"):
        del manager
    assert destroyed == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (({"worker_count": 1}, {}), ConfigError),
        ((config_of(), {"clock": 1.5}), TypeError),
        ((config_of(), {"order": "random"}), TypeError),
    ],
)
def test_wrong_arguments(arguments: Any, error: type[Exception]) -> None:
    """They are refused by the constructor."""
    config, options = arguments
    with pytest.raises(error):
        InlineTaskManager(config, **options)
