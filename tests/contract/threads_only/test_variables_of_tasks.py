"""A worker runs tasks whose submitter had no contextvars in one that it keeps; what a task sets there is not seen outside."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

from support.observers import RecordingCollector
from support.waiting import wait_until

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


class Looking(RecordingCollector):
    """Notes what it sees of the variable."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def record_completion(self, *args: Any) -> None:
        """A task is done."""
        self.seen.append(user.get())


@pytest.mark.parametrize("fails", [False, True])
def test_what_runs_after_the_task_does_not_see_it(threads: Any, fails: bool) -> None:
    """Callbacks, the judge of the resource's health and the collector run in the worker's thread, but not among the
    variables of the task; nor does the next task."""
    seen: list[str] = []

    def spoil(ctx: Any, resource: Any) -> None:
        seen.append(user.get())
        user.set("spoiled")
        if fails:
            raise ValueError

    def healthy(error: BaseException) -> bool:
        seen.append(user.get())
        return True

    def submit(m: Any, gate: Any) -> None:
        m.submit(lambda ctx, resource: gate.pass_through())
        for _ in range(3):
            m.submit(spoil, callback=lambda result, error: seen.append(user.get()))
        gate.open()

    with threads.build(worker_count=1, check_health=healthy, collector=Looking(seen)) as m:
        contextvars.Context().run(submit, m, threads.gate())
        wait_until(lambda: not m.stats().queued_tasks + m.stats().running_tasks)
    assert len(seen) >= 9
    assert set(seen) == {"nobody"}


def test_a_task_may_enter_a_context_of_its_own(threads: Any) -> None:
    """What a task runs in a copy of its variables is as it would be anywhere."""

    def task(ctx: Any, resource: Any) -> list[str]:
        user.set("outer")
        inner = contextvars.copy_context()
        inner.run(user.set, "inner")
        return [user.get(), inner[user]]

    with threads.build(worker_count=1) as m:
        future = contextvars.Context().run(m.submit, task)
        assert future.result(10) == ["outer", "inner"]
        assert contextvars.Context().run(m.submit, lambda ctx, resource: user.get()).result(10) == "nobody"
