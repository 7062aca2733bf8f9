"""Which thread runs what, and how it is called."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import Any

from support.resources import ScriptedResources
from support.waiting import wait_until


def thread_of(ctx: Any, resource: Any) -> threading.Thread:
    """A task that returns its thread."""
    return threading.current_thread()


def test_worker_threads_are_named_after_the_manager(threads: Any) -> None:
    """Workers are called <name>-1, <name>-2, ..."""
    barrier = threading.Barrier(3)

    def meet(ctx: Any, resource: Any) -> str:
        barrier.wait(20)
        return threading.current_thread().name

    with threads.build(name="crew", worker_count=3) as m:
        futures = [m.submit(meet) for _ in range(3)]
        assert sorted(f.result(20) for f in futures) == ["crew-1", "crew-2", "crew-3"]


def test_a_replacement_reuses_the_number(threads: Any) -> None:
    """A worker that replaces another takes its number."""

    def sick(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(name="crew", check_health=lambda error: False) as m:
        for _ in range(3):
            assert isinstance(m.submit(sick, once=True).exception(20), OSError)
        assert m.queue_task(thread_of).name == "crew-1"


def test_point_01_the_pool_is_made_in_the_caller(threads: Any) -> None:
    """Pooled resources are made in the thread of the constructor, workers' in their own."""
    resources = ScriptedResources()
    with threads.build(resources=resources, worker_count=2, resource_pool_size=2, name="crew"):
        wait_until(lambda: len(resources.created) == 4)
    here = threading.current_thread()
    assert [one.created_in is here for one in resources.created] == [True, True, False, False]
    assert {one.created_in.name for one in resources.created[2:]} == {"crew-1", "crew-2"}


def test_a_worker_makes_uses_and_destroys_in_one_thread(threads: Any) -> None:
    """on_create, the task and on_destroy of a worker run in the same thread."""
    resources = ScriptedResources()
    with threads.build(resources=resources, check_health=lambda error: False) as m:
        user = m.queue_task(thread_of)
    assert resources.created[0].created_in is user
    assert resources.created[0].destroyed_in is user


def test_point_06_run_task_runs_in_the_caller(threads: Any) -> None:
    """run_task calls the task in the caller's thread."""
    with threads.build(resource_pool_size=1) as m:
        assert m.run_task(thread_of) is threading.current_thread()


def test_point_15_callbacks_run_in_the_workers_thread(threads: Any) -> None:
    """callback= and done callbacks run in the thread that ran the task."""
    seen: list[threading.Thread] = []
    gate = threads.gate()

    def hold(ctx: Any, resource: Any) -> threading.Thread:
        gate.pass_through()
        return threading.current_thread()

    with threads.build() as m:
        future = m.submit(hold, callback=lambda r, e: seen.append(threading.current_thread()))
        future.add_done_callback(lambda f: seen.append(threading.current_thread()))
        gate.open()
        worker = future.result(20)
    assert seen == [worker, worker]


def test_a_late_done_callback_runs_in_the_callers_thread(threads: Any) -> None:
    """add_done_callback on a finished future calls at once, here."""
    seen: list[threading.Thread] = []
    with threads.build() as m:
        future = m.submit(thread_of)
        future.result(20)
        future.add_done_callback(lambda f: seen.append(threading.current_thread()))
        assert seen == [threading.current_thread()]


def test_a_context_manager_is_left_in_the_thread_that_entered_it(threads: Any) -> None:
    """With resource=, a worker leaves where it entered, in stops and replacements."""
    moves: list[tuple[str, threading.Thread]] = []

    @contextmanager
    def lease() -> Any:
        moves.append(("enter", threading.current_thread()))
        yield object()
        moves.append(("exit", threading.current_thread()))

    def sick(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(resource=lease, check_health=lambda error: False) as m:
        m.submit(sick, once=True).exception(20)
        m.queue_task(thread_of)
    assert [kind for kind, _ in moves] == ["enter", "exit", "enter", "exit"] or (
        sorted(kind for kind, _ in moves) == ["enter", "enter", "exit", "exit"]
    )
    for thread in {thread for _, thread in moves}:
        kinds = [kind for kind, where in moves if where is thread]
        assert kinds == ["enter", "exit"] * (len(kinds) // 2)


def test_no_thread_starts_at_import() -> None:
    """Importing the package starts no thread and needs nothing but the standard library."""
    done = subprocess.run(
        [sys.executable, "-c", "import tasker, threading; print(threading.active_count())"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "1"


def test_promise_7_no_thread_is_left(threads: Any) -> None:
    """No thread of a manager is left when it is stopped and started over and over."""
    before = threading.active_count()
    for _ in range(5):
        with threads.build(worker_count=3) as m:
            m.queue_task(thread_of)
        wait_until(lambda: threading.active_count() <= before, 10, "all threads have ended")
