"""Tests every race of TaskFuture, forced by a step at the very moment of an append."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tasker.errors import TaskCancelled, TaskKilled
from tasker.threads import future_protocol
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import BACK, DONE, RUN, SETTLED, Ending, Waiter
from tasker.threads.future_log import Callback as Told
from unit.futures import Owner, begin, fail, give_back, land, new, run, succeed
from unit.hooks import HookedList


def is_a(*kinds: type) -> Callable[[Any], bool]:
    """Returns a test for entries of the log of these types."""
    return lambda entry: isinstance(entry, kinds)


def hooked(
    kind: Callable[[Any], bool],
    owner: Owner | None = None,
) -> tuple[TaskFuture[Any], HookedList]:
    """Makes a future and its log, whose hooks run at the append of such an entry."""
    log = HookedList(when=kind)
    return new(owner, log), log


# -- cancel and RUN -------------------------------------------------------------------------------


def test_run_just_before_cancel() -> None:
    """A worker that is first runs the task; cancel() returns False and cancels the Context."""
    owner = Owner()
    future, log = hooked(is_a(Ending), owner)
    log.before = lambda: begin(future)
    assert future.cancel() is False
    context = future._context
    assert context is not None
    assert context.cancelled
    assert succeed(future, 1)
    assert (future.result(), owner.ended) == (1, [])


def test_run_just_after_cancel() -> None:
    """A cancel() that is first wins, even if the worker comes before cancel() has read the log."""
    owner = Owner()
    future, log = hooked(is_a(Ending), owner)
    may_run: list[bool] = []
    log.after = lambda: may_run.append(begin(future))
    assert future.cancel() is True
    assert (may_run, future.cancelled(), future.attempts) == ([False], True, 0)
    assert len(owner.ended) == 1


def test_cancel_just_before_run() -> None:
    """A cancel() just before RUN keeps the task from running."""
    future, log = hooked(lambda entry: entry is RUN)
    log.before = future.cancel
    assert not begin(future)
    assert future.cancelled()


def test_cancel_just_after_run() -> None:
    """A cancel() just after RUN, before the worker has read the log, is too late."""
    future, log = hooked(lambda entry: entry is RUN)
    answers: list[bool] = []
    log.after = lambda: answers.append(future.cancel())
    assert run(future, 2)
    assert (answers, future.result()) == ([False], 2)


def test_the_whole_attempt_before_cancel() -> None:
    """A task that is done before the cancellation is in the log keeps its result."""
    owner = Owner()
    future, log = hooked(is_a(Ending), owner)
    log.before = lambda: run(future, 3)
    assert future.cancel() is False
    assert (future.result(), future.cancelled(), owner.ended) == (3, False, [])


def test_landed_before_cancel() -> None:
    """A result that is only in the log also takes precedence over a cancellation."""
    future, log = hooked(is_a(Ending))
    log.before = lambda: begin(future) and land(future, 4)
    assert future.cancel() is False
    assert future.result(0) == 4


def test_cancel_at_the_moment_of_back() -> None:
    """A cancel() counts if it is behind BACK in the log, not before it."""
    for name, wins in (("before", False), ("after", True)):
        future, log = hooked(lambda entry: entry is BACK)
        answers: list[bool] = []
        setattr(log, name, lambda future=future, answers=answers: answers.append(future.cancel()))
        begin(future)
        give_back(future)
        assert answers == [wins]
        assert begin(future) is not wins


class Between(list[Any]):
    """A log that runs a step behind each entry that is taken out."""

    step: Callable[[], object] = staticmethod(lambda: None)

    def remove(self, entry: object) -> None:
        """Takes it out."""
        super().remove(entry)
        self.step()


@pytest.mark.parametrize("position", [1, 2])
def test_cancel_while_the_marks_of_an_attempt_are_taken_out(position: int) -> None:
    """Behind each of the two steps the task waits for its next attempt, so the cancellation counts."""
    owner = Owner()
    future = new(owner)
    future._log = log = Between()
    begin(future)
    future._context = None
    steps, answers = iter(range(1, 3)), []
    log.step = lambda: next(steps) == position and answers.append(future.cancel())  # type: ignore[method-assign]
    assert future._goes_back() is False
    assert answers == [True]
    assert (len(owner.ended), future.cancelled(), begin(future)) == (1, True, False)


def test_many_attempts() -> None:
    """Their log is as short as that of one: what watches is all that stays, in its order."""
    future = new()
    waiters = [Waiter() for _ in range(3)]
    future._watch(waiters[0])
    for attempt in range(1, 1_001):
        assert begin(future)
        assert future._attempts == attempt
        if attempt == 500:
            future._watch(waiters[1])
        assert future._goes_back() is False
    future._watch(waiters[2])
    assert future._log == waiters
    assert run(future, 5)
    assert [waiter.acquire(False) for waiter in waiters] == [True] * 3


def test_two_cancels_at_once() -> None:
    """Of two cancellations one is the outcome, and the manager is notified once; both calls return True."""
    owner = Owner()
    future, log = hooked(is_a(Ending), owner)
    other = Ending(TaskCancelled("the other"), cancelled=True)
    log.before = lambda: list.append(log, other)
    assert future.cancel() is True
    assert future._after(other) is True
    assert len(owner.ended) == 1
    with pytest.raises(TaskCancelled, match="the other"):
        future.result()


# -- the settled log ------------------------------------------------------------------------------


class Reading(TaskFuture[Any]):
    """Runs a step right after its log was read, as if another thread ran then."""

    __slots__ = ("kept", "step")

    @property
    def _log(self) -> Any:  # type: ignore[override]
        log, step = self.kept, self.__dict__.pop("armed", None)
        if step is not None:
            step()
        return log

    @_log.setter
    def _log(self, log: Any) -> None:
        self.kept = log


ARRIVALS: dict[str, Callable[[TaskFuture[Any]], Any]] = {
    "cancel": lambda future: future.cancel(),
    "result": lambda future: future.result(5),
    "condition": lambda future: future._condition,
    "state": lambda future: future._state,
    "running": lambda future: future.running(),
    "killed": lambda future: future._end(Ending(TaskKilled("bye"), cancelled=True, forced=True)),
}


@pytest.mark.parametrize("how", ARRIVALS)
@pytest.mark.parametrize("settles", ["at its length", "after telling"])
def test_settled_just_after_the_log_was_read(how: str, settles: str) -> None:
    """A thread that holds the list of a future whose log is settled meanwhile finds the result in that list."""
    future = Reading._accepted(Owner(), 1, hooked, (), queued_at=1.0)
    begin(future)
    end = (lambda: succeed(future, 21)) if settles == "at its length" else land(future, 21)
    future.__dict__["armed"] = end
    answer = ARRIVALS[how](future)
    assert answer in {
        "cancel": [False],
        "killed": [False],
        "running": [False, True],
        "state": ["RUNNING", "FINISHED"],
    }.get(how, [answer])
    assert future._log is SETTLED
    assert (future.result(0), future.cancelled(), future._state) == (21, False, "FINISHED")


@pytest.mark.parametrize("how", ARRIVALS)
def test_a_step_on_a_settled_log(how: str) -> None:
    """Every step on a settled log finds the result, and leaves nothing in the log that all futures share."""
    future, calls = new(), []
    run(future, 22)
    ARRIVALS[how](future)
    future.add_done_callback(calls.append)
    assert calls == [future]
    assert future._condition is future._condition
    assert list(SETTLED) == [RUN, DONE]
    assert begin(future) is False


def test_who_was_told_is_let_go() -> None:
    """Once all watchers were notified of the result, the future keeps no waiters and no callbacks."""
    future = new()
    future.add_done_callback(lambda told: None)
    run(future, 23)
    assert future._log is SETTLED


# -- DONE and those who wait ----------------------------------------------------------------------


def test_done_just_before_a_waiter() -> None:
    """A waiter that is appended just after the outcome finds it itself."""
    future, log = hooked(is_a(Waiter))
    log.before = lambda: run(future, 5)
    assert future.result() == 5


def test_done_just_after_a_waiter() -> None:
    """A waiter that was appended just before the outcome is notified."""
    future, log = hooked(is_a(Waiter))
    log.after = lambda: run(future, 6)
    assert future.result() == 6


def test_landed_just_before_a_waiter() -> None:
    """A thread that finds only DONE in the log publishes the result; the worker that goes on notifies no watcher
    twice."""
    future, log = hooked(is_a(Waiter))
    going_on: list[Callable[[], bool]] = []
    log.before = lambda: begin(future) and going_on.append(land(future, 7))
    assert future.result() == 7
    assert going_on[0]() is True
    assert future.result() == 7


def test_waiter_between_done_and_the_workers_look() -> None:
    """A waiter between DONE and the moment at which the worker counts the entries returns; so does the worker."""
    future, log = hooked(lambda entry: entry is DONE)
    results: list[Any] = []
    log.after = lambda: results.append(future.result(0))
    assert run(future, 8)
    assert results == [8]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_done_at_the_registration_of_a_callback(moment: str) -> None:
    """A callback is called exactly once, whether the outcome is before or behind it in the log."""
    future, log = hooked(is_a(Told))
    setattr(log, moment, lambda: run(future))
    calls: list[Any] = []
    future.add_done_callback(calls.append)
    assert calls == [future]


def test_callback_at_the_moment_of_done() -> None:
    """A callback between DONE and the moment at which the worker reads the log is called once."""
    for moment in ("before", "after"):
        future, log = hooked(lambda entry: entry is DONE)
        calls: list[Any] = []
        setattr(log, moment, lambda f=future, c=calls: f.add_done_callback(c.append))
        assert run(future)
        assert calls == [future]


def impatient(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Makes waiters time out at once, and calls `meanwhile` at the very end of their wait."""

    class Impatient(Waiter):
        __slots__ = ()

        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.lock.acquire()
            self.acquire = self._acquire

        def _acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            meanwhile()
            return False

    monkeypatch.setattr(future_protocol, "Waiter", Impatient)


def test_outcome_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiter that times out while the outcome arrives gets the outcome."""
    future = new()
    impatient(monkeypatch, lambda: run(future, 9))
    assert future.result(0.001) == 9


def test_landed_at_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiter may time out while DONE is only in the log; the worker then goes on as usual."""
    future = new()
    going_on: list[Callable[[], bool]] = []
    impatient(monkeypatch, lambda: begin(future) and going_on.append(land(future, 10)))
    try:
        assert future.result(0.001) == 10
    except TimeoutError:
        pass
    assert going_on[0]() is True
    assert future.result(0) == 10


# -- forced endings and DONE ----------------------------------------------------------------------


def test_abandoned_just_before_done() -> None:
    """A task that was abandoned just before its result stays killed, and its result is dropped."""
    future, log = hooked(lambda entry: entry is DONE)
    killed = Ending(TaskKilled("bye"), cancelled=True, forced=True)
    log.before = lambda: future._end(killed)
    begin(future)
    assert succeed(future, 11) is False
    with pytest.raises(TaskKilled):
        future.result()
    assert (future.cancelled(), future._result) == (True, None)


def test_done_just_before_abandoned() -> None:
    """A task whose result comes just before its abandonment keeps it."""
    future, log = hooked(is_a(Ending))
    log.before = lambda: succeed(future, 12)
    begin(future)
    assert future._end(Ending(TaskKilled("bye"), cancelled=True, forced=True)) is False
    assert future.result() == 12


def test_landed_just_before_abandoned() -> None:
    """A result that is only in the log takes precedence over the abandonment."""
    future, log = hooked(is_a(Ending))
    going_on: list[Callable[[], bool]] = []
    log.before = lambda: going_on.append(land(future, 13))
    begin(future)
    assert future._end(Ending(TaskKilled("bye"), cancelled=True, forced=True)) is False
    assert future.result(0) == 13
    assert going_on[0]() is True


def test_abandoned_at_the_moment_of_an_error() -> None:
    """Of an abandonment and the task's own error, the first is the outcome, and callbacks are called once."""
    for moment, killed in (("before", True), ("after", False)):
        future, log = hooked(is_a(Ending))
        bye = Ending(TaskKilled("bye"), cancelled=True, forced=True)
        setattr(log, moment, lambda f=future, bye=bye: f._end(bye))
        calls: list[Any] = []
        future.add_done_callback(calls.append)
        begin(future)
        assert fail(future, OSError("own")) is not killed
        assert future.cancelled() is killed
        assert calls == [future]
