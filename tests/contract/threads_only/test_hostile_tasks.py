"""Tasks and errors whose own attributes are broken harm nobody but themselves."""

from __future__ import annotations

import gc
import warnings
from dataclasses import dataclass
from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import MaxRetriesExceeded, TaskKilled


class Unbound:
    """A callable whose every attribute raises, like a proxy outside of its context."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.__dict__["error"] = error

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise RuntimeError(f"working outside of context: {name}")

    def __call__(self, ctx: Any, resource: Any) -> str:
        error = object.__getattribute__(self, "__dict__")["error"]
        if error is not None:
            raise error
        return "value"


class Unnamed(Unbound):
    """A callable whose name alone raises SystemExit."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__qualname__":
            raise SystemExit
        return object.__getattribute__(self, name)


HOSTILE = pytest.mark.parametrize("kind", [Unbound, Unnamed])


@HOSTILE
def test_a_kill_drops_everybody_behind_it(threads: Any, kind: Any) -> None:
    """A queued task that can't be named is killed, and so are those behind it."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        futures = [m.submit(task) for task in (len, kind(), len, kind(), len)]
        kill = Call(m.kill, 10)
        for future in futures:
            with pytest.raises(TaskKilled):
                future.result(20)
        gate.open()
        assert kill.outcome().killed_tasks == 5


@HOSTILE
def test_it_can_be_shown_run_and_cancelled(threads: Any, kind: Any) -> None:
    """repr, cancel and a plain run of such a task work."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        runs, cancelled = m.submit(kind()), m.submit(kind())
        assert repr(runs) == f"<task #2 {kind.__name__}>"
        assert cancelled.cancel()
        gate.open()
        assert runs.result(20) == "value"
        assert m.run_task(kind()) == "value"


@HOSTILE
def test_it_is_retried(threads: Any, kind: Any) -> None:
    """Such a task that fails unhealthily is retried until its retries are used up."""
    with threads.build(check_health=lambda error: False, max_retries=1) as m:
        future = m.submit(kind(OSError("sick")))
        assert isinstance(future.exception(20), MaxRetriesExceeded)
        assert future.attempts == 2
        assert m.queue_task(lambda ctx, resource: "next") == "next"


@HOSTILE
def test_an_abandoned_one_is_named_in_the_report(threads: Any, kind: Any) -> None:
    """A kill that gives up on such a task ends it all the same."""
    gate = threads.gate()

    class Stuck(kind):  # type: ignore[misc]
        def __call__(self, ctx: Any, resource: Any) -> Any:
            gate.pass_through()

    with threads.build() as m:
        future = m.submit(Stuck())
        gate.wait_arrivals(1)
        report = Call(m.kill, 0.1).outcome(20)
        assert (report.killed_tasks, len(report.abandoned)) == (1, 1)
        assert future.cancelled()
        gate.open()


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that forbids every assignment, that of its traceback too."""

    key: str


class Sealed(Exception):
    """The same, written by hand."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


@pytest.mark.parametrize("error", [Frozen("x"), Sealed("x")], ids=lambda error: type(error).__name__)
def test_an_error_that_can_not_be_changed_reaches_its_caller(threads: Any, error: Exception) -> None:
    """The task's future has that very error, and the worker goes on with its resource."""

    def fails(ctx: Any, resource: Any) -> None:
        raise error

    with threads.build(max_retries=1) as m:
        for _ in range(3):
            assert m.submit(fails).exception(20) is error
        assert m.queue_task(lambda ctx, resource: "next") == "next"
        stats = m.stats()
        assert (stats.resources.created, stats.lost_workers, stats.replaced_workers) == (1, 0, 0)
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (4, 4, 0)


def test_an_async_task_is_refused_clearly(threads: Any) -> None:
    """A coroutine function gives a TypeError that says what it needs, and no warning that it was never awaited."""

    async def fetch(ctx: Any, resource: Any) -> None:
        """Never runs."""

    with threads.build() as m, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(TypeError, match=r"fetch is an async task: it needs an AsyncTaskManager"):
            m.submit(fetch).result(20)
        assert m.queue_task(lambda ctx, resource: "next") == "next"
        gc.collect()
    assert not [str(warning.message) for warning in caught if "never awaited" in str(warning.message)]


@pytest.mark.parametrize("callback", [5, "print", object()], ids=repr)
def test_a_callback_that_is_none_is_refused(threads: Any, callback: Any) -> None:
    """A callback that can't be called is a TypeError of submit, and nothing is queued."""
    with threads.build() as m:
        with pytest.raises(TypeError, match="callback must be callable"):
            m.submit(lambda ctx, resource: None, callback=callback)
        assert m.stats().accepted_tasks == 0


@pytest.mark.parametrize("priority", [True, False, 2.0, "HIGH", None, 3, -1, [], float("nan")], ids=repr)
def test_a_priority_that_is_none_is_refused(threads: Any, priority: Any) -> None:
    """What only looks like a priority is a ValueError that names those there are, and nothing is queued."""
    with threads.build() as m:
        with pytest.raises(ValueError, match="priority must be one of"):
            m.submit(lambda ctx, resource: None, priority=priority)
        assert m.stats().accepted_tasks == 0
        wait_until(lambda: m.stats().active_workers == 1)
