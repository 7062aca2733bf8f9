"""The log of a future is made by whoever is the first to write: all interleavings of three who come at once, and what
they come for."""

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
"""Of the way of one who opens a log and has nobody beside him."""


class Moments:
    """Where the one who opens is, and what others do there: ``others[0]`` at its point, ``others[1]`` while that does."""

    def __init__(self) -> None:
        self.others: list[tuple[str, Callable[[], object]]] = []
        self.gets: list[int] = [0]
        self.passed: list[str] = []

    def at(self, point: str) -> None:
        """This point is reached by the one who came last."""
        self.passed.append(point)
        if self.others and self.others[0][0] == point:
            _, act = self.others.pop(0)
            self.gets.append(0)
            act()
            self.gets.pop()

    def around(self, step: str, function: Callable[[], Any]) -> Any:
        """The step, with its two points."""
        self.at(f"before {step}")
        result = function()
        self.at(f"after {step}")
        return result


class Watched(TaskFuture[Any]):
    """A future that tells who reads and writes its log."""

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
    """``tasklog.opening`` that tells, too."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return self.moments.around("setdefault", lambda: super(Opening, self).setdefault(key, default))

    def pop(self, key: Any, *default: Any) -> Any:
        return self.moments.around("pop", lambda: super(Opening, self).pop(key, *default))


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> Moments:
    """Those of every log that is opened in the test."""
    made = Moments()
    opening = Opening(made)
    monkeypatch.setattr(tasks, "LATE", True)
    monkeypatch.setattr(tasklog, "opening", opening)
    monkeypatch.setattr(threads, "opening", opening)
    return made


def watched(moments: Moments) -> Watched:
    """A future whose log is not opened."""
    future = Watched._accepted(Owner(), 1, watched, (), queued_at=1.0)
    assert future.kept is UNOPENED
    future.moments = moments
    return future


def test_points(moments: Moments) -> None:
    """The points are those that there are; nothing stays behind."""
    future = watched(moments)
    assert opened(future) == []
    assert tuple(moments.passed) == POINTS
    assert tasklog.opening == {}


@pytest.mark.parametrize("second", POINTS)
@pytest.mark.parametrize("first", POINTS)
def test_all_write_into_one_log(moments: Moments, first: str, second: str) -> None:
    """Wherever a second comes in the way of the first, and a third in that of the second: the entries of all are in the
    log of the future."""
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
    """Who is about to open the log while the task is run from beginning to end finds the result, once."""
    future, calls = watched(moments), []
    moments.others = [(point, lambda: run(future))]
    future.add_done_callback(calls.append)
    assert moments.others == []
    assert (calls, future.result(0), tasklog.opening) == ([future], "value", {})


OPENING = [point for point in POINTS if "setdefault" in point or "pop" in point]


@pytest.mark.parametrize("point", OPENING)
def test_cancelled_as_a_worker_opens(moments: Moments, point: str) -> None:
    """A worker that finds a cancellation in the log does not run the task; everybody is told, and the books are right."""
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
    """Who asks to be told while a worker opens the log is told by that worker, once."""
    bench, told = Bench(), []
    future = bench.submit()
    moments.others = [(point, lambda: future.add_done_callback(told.append))]
    bench.serve()
    assert moments.others == []
    assert (told, future.result(0), bench.calls, tasklog.opening) == ([future], "value", ["resource"], {})
    bench.audit(done=1)
