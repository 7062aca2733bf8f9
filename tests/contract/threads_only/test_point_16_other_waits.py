"""Point 16 where the wait is none for a future: map, executors, on_create; and after a resize."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import DeadlockError
from tasker.control.events import Resized


def echo(ctx: Any, resource: Any, item: int = 0) -> int:
    """A task that is waited for."""
    return item


@pytest.mark.parametrize("ordered", [True, False])
def test_point_16_map_inside_the_only_worker(threads: Any, ordered: bool) -> None:
    """map inside a task of a saturated pool raises DeadlockError there; what it had submitted is cancelled."""

    def outer(ctx: Any, resource: Any) -> list[int]:
        return list(m.map(echo, range(3), ordered=ordered))

    with threads.build() as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)
        assert m.submit(echo, 5).result(20) == 5
        wait_until(lambda: m.stats().done_tasks == 5)


@pytest.mark.parametrize("ordered", [True, False])
def test_point_16_map_inside_a_task_beside_a_free_worker(threads: Any, ordered: bool) -> None:
    """With a second worker map inside a task is fine."""

    def outer(ctx: Any, resource: Any) -> list[int]:
        return list(m.map(echo, range(20), ordered=ordered, look_ahead=3))

    with threads.build(worker_count=2) as m:
        assert sorted(m.submit(outer).result(20)) == list(range(20))
        assert m._engine.waits._waits == {}


def test_point_16_shutdown_of_an_executor(threads: Any) -> None:
    """Leaving `with as_executor()` inside the only worker raises DeadlockError where tasks of it wait; else it ends."""

    def outer(ctx: Any, resource: Any) -> None:
        with m.as_executor() as view:
            view.submit(int)

    def idle(ctx: Any, resource: Any) -> str:
        with m.as_executor():
            return "nothing to wait for"

    with threads.build() as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)
        assert m.submit(idle).result(20) == "nothing to wait for"
        wait_until(lambda: m.stats().done_tasks == 3)


@pytest.mark.parametrize("hook", ["on_create", "on_destroy"])
def test_point_16_a_hook_that_waits_for_its_own_manager(threads: Any, hook: str) -> None:
    """on_create or on_destroy of a worker that waits for a task of its own manager gets DeadlockError, also where
    another worker could run the task."""
    told: list[BaseException] = []
    known = threading.Event()
    box: list[Any] = []

    def waits(*_: object) -> object:
        assert known.wait(20)
        name = threading.current_thread().name
        if not told and name.startswith("nested-") and box[0].stats().accepted_tasks < 5:
            try:
                box[0].submit(echo).result()
            except DeadlockError as error:
                told.append(error)
                raise
        return object()

    hooks = {"on_create": object, "on_destroy": None, hook: waits}
    with threads.build(name="nested", worker_count=2, creation_backoff=0.001, **hooks) as m:
        box.append(m)
        known.set()
        assert m.submit(echo, 7).result(20) == 7
        wait_until(lambda: m.stats().active_workers == 2)
        m.resize(worker_count=1, max_worker_count=1)
        wait_until(lambda: told)
        assert f"{hook} " in str(told[0]) or "on_create or on_destroy" in str(told[0])
        assert Call(m.stop).outcome().killed is False
        assert m.stats().done_tasks == m.stats().accepted_tasks


def test_point_16_not_after_a_resize_where_the_awaited_run(threads: Any) -> None:
    """While more workers live than the new limit, waiting for tasks that *run* is no deadlock."""
    slow, go, meet = threads.gate(), threads.gate(), threading.Barrier(3)

    def outer(ctx: Any, resource: Any, n: int) -> Any:
        go.pass_through()
        meet.wait(20)
        return running[n].result()

    with threads.build(worker_count=4, max_worker_count=4, burst_interval=0) as m:
        running = [m.submit(threads.kit.holds(slow, "slow")) for _ in range(2)]
        slow.wait_arrivals(2)
        waiting = [m.submit(outer, n) for n in range(2)]
        go.wait_arrivals(2)
        m.resize(worker_count=2, max_worker_count=2)
        wait_until(lambda: m._engine.view.limit == 2)
        go.open()
        meet.wait(20)
        wait_until(lambda: any(f.done() for f in waiting) or len(m._engine.waits._waits) == 2)
        assert [f for f in waiting if f.done()] == []
        slow.open()
        assert [future.result(20) for future in waiting] == ["slow", "slow"]


def test_two_resizes_in_a_row_both_count(threads: Any) -> None:
    """A second resize keeps what the first one has set, also while the supervisor knows of neither."""
    with threads.build(worker_count=1, max_worker_count=4) as m:
        reported: list[Any] = []
        real, m._engine.report = m._engine.report, reported.append
        m.resize(worker_count=8, max_worker_count=8)
        m.resize(max_worker_count=20)
        m.resize(worker_count=9)
        assert reported == [Resized(8, 8), Resized(8, 20), Resized(9, 20)]
        m._engine.report = real
        for event in reported:
            real(event)
        wait_until(lambda: (m._engine.view.base, m._engine.view.most) == (9, 20))
        wait_until(lambda: m.stats().active_workers == 9)


def test_a_refused_resize_changes_nothing(threads: Any) -> None:
    """After a ConfigError the bounds are as before."""
    resources = ScriptedResources()
    with threads.build(resources=resources, worker_count=2, max_worker_count=4) as m:
        with pytest.raises(ValueError, match="max_worker_count"):
            m.resize(worker_count=5)
        m.resize(worker_count=3)
        wait_until(lambda: m.stats().active_workers == 3)
        assert m._engine.view.most == 4
