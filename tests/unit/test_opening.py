"""Tests that the first write makes the log of a future: all interleavings of three threads, and of what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker.errors import TaskCancelled
from tasker.threads import future as tasks
from tasker.threads import future_log as tasklog
from tasker.threads import worker_loop as threads
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import UNOPENED, opened
from unit.futures import Owner, run
from unit.test_worker_races import Bench

POINTS = (
    "before get 1",
    "after get 1",
    "before setdefault",
    "after setdefault",
    "before get 2",
    "after get 2",
    "before set",
    "after set",
    "before pop",
    "after pop",
)
"""The points on the way of a thread that opens a log alone."""


class Moments:
    """Records the point that the opening thread has reached, and runs other steps there: ``others[0]`` at its point,
    and ``others[1]`` during that one."""

    def __init__(self) -> None:
        self.others: list[tuple[str, Callable[[], object]]] = []
        self.gets: list[int] = [0]
        self.passed: list[str] = []

    def at(self, point: str) -> None:
        """Notes that the step that began last has reached this point."""
        self.passed.append(point)
        if self.others and self.others[0][0] == point:
            _, act = self.others.pop(0)
            self.gets.append(0)
            act()
            self.gets.pop()

    def around(self, step: str, function: Callable[[], Any]) -> Any:
        """Runs a step, with the points before and after it."""
        self.at(f"before {step}")
        result = function()
        self.at(f"after {step}")
        return result


class Watched(TaskFuture[Any]):
    """Reports each read and write of its log."""

    __slots__ = ("kept",)
    moments: Moments | None = None

    @property
    def _log(self) -> Any:  # type: ignore[override]
        if self.moments is None:
            return self.kept
        self.moments.gets[-1] += 1
        return self.moments.around(f"get {self.moments.gets[-1]}", lambda: self.kept)

    @_log.setter
    def _log(self, log: Any) -> None:
        if self.moments is None:
            self.kept = log
        else:
            self.moments.around("set", lambda: setattr(self, "kept", log))


class Opening(dict[Any, Any]):
    """Replaces ``future_log.opening``, and reports its uses as well."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return self.moments.around("setdefault", lambda: super(Opening, self).setdefault(key, default))

    def pop(self, key: Any, *default: Any) -> Any:
        return self.moments.around("pop", lambda: super(Opening, self).pop(key, *default))


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    """Provides the moments of every log that is opened in the test."""
    made = Moments()
    opening = Opening(made)
    monkeypatch.setattr(tasks, "LATE", True)
    monkeypatch.setattr(tasklog, "opening", opening)
    monkeypatch.setattr(threads, "opening", opening)
    return made


def watched(moments: Moments) -> Watched:
    """Makes a future whose log is not opened."""
    future = Watched._accepted(Owner(), 1, watched, (), queued_at=1.0)
    assert future.kept is UNOPENED
    future.moments = moments
    return future


def test_points(moments: Moments) -> None:
    """The listed points are all points, and nothing is left behind."""
    future = watched(moments)
    assert opened(future) == []
    assert tuple(moments.passed) == POINTS
    assert tasklog.opening == {}


@pytest.mark.parametrize("second", POINTS)
@pytest.mark.parametrize("first", POINTS)
def test_all_write_into_one_log(moments: Moments, first: str, second: str) -> None:
    """Wherever a second thread interrupts the first, and a third one the second, the log has the entries of all."""
    future = watched(moments)

    def write(name: str) -> Callable[[], object]:
        return lambda: opened(future).append(name)

    moments.others = [(first, write("second")), (second, write("third"))]
    write("first")()
    came = {"first", "second", "third"} - ({"third"} if moments.others else set())
    assert set(future.kept) == came
    assert len(future.kept) == len(came)
    assert tasklog.opening == {}


@pytest.mark.parametrize("point", POINTS)
def test_a_whole_life_meanwhile(moments: Moments, point: str) -> None:
    """A thread that is about to open the log while the task runs from beginning to end finds the result, once."""
    future, calls = watched(moments), []
    moments.others = [(point, lambda: run(future))]
    future.add_done_callback(calls.append)
    assert moments.others == []
    assert (calls, future.result(0), tasklog.opening) == ([future], "value", {})


OPENING = [point for point in POINTS if "setdefault" in point or "pop" in point]


@pytest.mark.parametrize("point", OPENING)
def test_cancelled_as_a_worker_opens(moments: Moments, point: str) -> None:
    """A worker that finds a cancellation in the log does not run the task; all watchers are notified, and the counters
    are right."""
    bench, told = Bench(), []
    future = bench.submit()

    def cancel() -> None:
        future.add_done_callback(told.append)
        assert future.cancel()

    moments.others = [(point, cancel)]
    bench.serve()
    assert moments.others == []
    with pytest.raises(TaskCancelled):
        future.result(0)
    assert (told, bench.calls, tasklog.opening) == ([future], [], {})
    bench.audit(done=1)


@pytest.mark.parametrize("point", OPENING)
def test_watched_as_a_worker_opens(moments: Moments, point: str) -> None:
    """A watcher that is added while a worker opens the log is notified by that worker, once."""
    bench, told = Bench(), []
    future = bench.submit()
    moments.others = [(point, lambda: future.add_done_callback(told.append))]
    bench.serve()
    assert moments.others == []
    assert (told, future.result(0), bench.calls, tasklog.opening) == ([future], "value", ["resource"], {})
    bench.audit(done=1)
