"""An exception that strikes a worker's loop from outside, at every moment at which one can."""

from __future__ import annotations

import sys
from contextvars import Context as Variables
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from tasker import Context, Priority
from tasker.core.counters import Shard
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import opening
from tasker.threads.queue import RETIRE, TaskQueue
from tasker.threads.worker_loop import ThreadHost

from .interrupts import each_moment


@pytest.mark.parametrize("level", [Priority.HIGH, Priority.NORMAL])
def test_no_task_is_lost(level: Priority) -> None:
    """Wherever the loop is struck, its task is in the queue, in the books of the worker, or done."""
    queue, ended = TaskQueue(), []
    worker: Any = SimpleNamespace(name="worker", seat=None, shard=Shard(), root=Context())
    worker.engine = SimpleNamespace(queue=queue, collector=None, queue_slots=None, door=0, report=lambda event: None)
    worker.failed = lambda future, error: ended.append(future)
    tasks: list[TaskFuture[Any]] = []

    def serve() -> None:
        queue.tokens.put(None)
        queue.tokens.put(RETIRE)
        ThreadHost._serve(host, {})  # type: ignore[arg-type]

    def put() -> None:
        tasks.append(TaskFuture._accepted(worker, 1, lambda ctx, resource: None, (), 0.0))
        queue.levels[level].append(tasks[-1])

    host = ThreadHost(worker)
    host._held = SimpleNamespace(resource=None)  # type: ignore[assignment]
    put()
    struck = []
    for where, _, _ in each_moment(serve, ThreadHost._serve):
        task = tasks[-1]
        assert task in queue.levels[level] or worker.shard.future is task or task.done() or task in ended, where
        struck.append(where)
        opening.pop(task, None)  # as the worker does that is lost
        worker.shard.future, worker.shard = None, Shard()
        queue.levels[level].clear()
        while not queue.tokens.empty():
            queue.tokens.get()
        put()
    assert len(struck) > 10
    assert tasks[-2].done()


def test_a_context_is_shown_when_it_is_complete() -> None:
    """Whatever line the worker is at, a kill in another thread may cancel it."""
    queue = TaskQueue()
    worker: Any = SimpleNamespace(name="worker", seat=None, shard=Shard(), root=Context())
    worker.engine = SimpleNamespace(
        queue=queue, collector=None, queue_slots=None, door=0, alert=False, report=lambda event: None
    )
    worker.outdated = False
    task = TaskFuture._accepted(worker, 1, lambda ctx, resource: None, (), 0.0)
    queue.put(task, Priority.NORMAL)
    queue.tokens.put(RETIRE)
    host = ThreadHost(worker)
    host._held = SimpleNamespace(resource=None)  # type: ignore[assignment]
    seen: set[Context] = set()

    def look(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code is not ThreadHost._serve.__code__:
            return None
        context = getattr(task, "_context", None)
        if context is not None:
            assert not context.cancelled
            seen.add(context)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        ThreadHost._serve(host, Variables())
    finally:
        sys.settrace(before)
    assert len(seen) == 1
    assert task.done()
