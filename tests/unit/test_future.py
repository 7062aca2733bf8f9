"""Tests TaskFuture without races: each method before, during and after an attempt."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.errors import TaskCancelled, TaskKilled
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.threads.future_log import BACK, DONE, RUN, Ending, Waiter, outcome_in
from unit import futures
from unit.futures import Owner, Thread, begin, fail, give_back, land, new, run, succeed
from unit.hooks import HookedBridge, HookedList


def test_before_it_starts() -> None:
    """A queued task is neither running nor done, and has no attempt, worker or stamps."""
    future = new()
    assert (future.done(), future.running(), future.cancelled()) == (False, False, False)
    assert (future.attempts, future.worker, future.timestamps) == (0, None, None)
    assert future._state == "PENDING"
    assert future._get_snapshot() == (False, False, None, None)


def test_while_it_runs() -> None:
    """A running task is shown as running, with the name of its worker."""
    future = new()
    assert begin(future)
    assert (future.done(), future.running(), future.attempts) == (False, True, 1)
    assert (future.worker, future.timestamps, future._state) == ("tasker-1", None, "RUNNING")


def test_result() -> None:
    """Every method shows the result."""
    future = new()
    assert run(future, 42)
    assert (future.result(), future.result(0), future.exception()) == (42, 42, None)
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert future.timestamps == TaskLifecycleTimestamps(1.0, 2.0, 3.0)
    assert (future._state, future._result, future._exception) == ("FINISHED", 42, None)
    assert future._get_snapshot() == (True, False, 42, None)


def test_error() -> None:
    """An error is raised by result() and returned by exception()."""
    future, error = new(), ValueError("mine")
    begin(future)
    assert fail(future, error)
    with pytest.raises(ValueError, match="mine") as caught:
        future.result()
    assert caught.value is error
    assert future.exception() is error
    assert (future.done(), future.cancelled(), future._state) == (True, False, "FINISHED")


def test_cancel_before_it_starts() -> None:
    """cancel() of a queued task ends it and notifies the manager; the task must not run."""
    owner = Owner()
    future = new(owner)
    assert future.cancel() is True
    assert future.cancel() is True
    assert (future.done(), future.cancelled(), future._state) == (
        True,
        True,
        "CANCELLED_AND_NOTIFIED",
    )
    with pytest.raises(TaskCancelled, match="was cancelled before it started"):
        future.result()
    with pytest.raises(cf.CancelledError):
        future.exception()
    assert [told for told, _ in owner.ended] == [future]
    assert not begin(future)
    assert future.timestamps is None


def test_cancel_while_it_runs() -> None:
    """A running task is not cancelled; its Context is, and the task decides."""
    owner = Owner()
    future = new(owner)
    begin(future)
    context = future._context
    assert context is not None
    assert future.cancel() is False
    assert context.cancelled
    assert isinstance(context.cause, TaskCancelled)
    assert succeed(future, "anyway")
    assert (future.result(), future.cancelled(), owner.ended) == ("anyway", False, [])


def test_cancel_while_it_runs_then_sent_back() -> None:
    """A cancel() during an attempt does not cancel the next attempt; a later one does."""
    future = new()
    begin(future)
    future.cancel()
    give_back(future)
    assert begin(future)
    give_back(future)
    assert future.cancel() is True
    assert not begin(future)
    assert future.attempts == 2


def test_cancel_when_done() -> None:
    """A task that is done cannot be cancelled."""
    future = new()
    run(future)
    assert future.cancel() is False
    assert future.result() == "value"


def test_killed_in_the_queue() -> None:
    """A killed task is cancelled and raises TaskKilled."""
    future = new()
    assert future._end(Ending(TaskKilled("bye"), cancelled=True))
    assert future.cancelled()
    with pytest.raises(TaskKilled):
        future.result()


def test_releases_what_it_held() -> None:
    """Whatever the outcome, the future drops the function, the arguments and the context of the task."""
    done, failed, cancelled = new(), new(), new()
    run(done)
    begin(failed)
    fail(failed, ValueError())
    cancelled.cancel()
    for future in (done, failed, cancelled):
        assert future._task is None
        assert future._context is None


def test_repr() -> None:
    """A future is shown with its number and, until it is done, its task."""
    future = new()
    assert repr(future) == f"<task #1 {futures.__name__}.named>"
    run(future)
    assert repr(future) == "<task #1>"


def test_timeout() -> None:
    """result() and exception() raise after their timeout, name the task, and leave nothing behind."""
    future = new()
    for wait in (future.result, future.exception):
        for seconds in (0, -1):
            with pytest.raises(TimeoutError, match=r"task #1.* after"):
                wait(seconds)
    assert future._log == []


def test_unlimited_waits_are_announced() -> None:
    """Only a wait without a limit is announced to the manager; the announcement is withdrawn."""
    owner = Owner()
    future = new(owner)
    with pytest.raises(TimeoutError):
        future.result(0)
    assert owner.waits == []
    lined_up = threading.Event()
    future._log = HookedList(after=lined_up.set)
    waiting = Thread(future.result)
    assert lined_up.wait(20)
    run(future)
    assert waiting.join() == "value"
    assert owner.waits == ["enter", "leave"]


def test_refused_wait() -> None:
    """If the manager refuses a wait, its error is raised and nothing is left behind."""
    owner = Owner()
    future = new(owner)

    def refuse(awaited: object, waiter: object) -> object:
        raise RuntimeError("for ever")

    owner.enter_wait = refuse  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="for ever"):
        future.result()
    assert future._log == []


def test_callbacks() -> None:
    """Callbacks get the future, once each, in order; one that is added later is called at once."""
    future, calls = new(), []
    for number in range(3):
        future.add_done_callback(lambda done, number=number: calls.append((number, done.result())))
    run(future)
    future.add_done_callback(lambda done: calls.append((3, done)))
    assert calls == [(0, "value"), (1, "value"), (2, "value"), (3, future)]


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()])
def test_callback_that_raises(error: BaseException) -> None:
    """An error of a callback is passed to the manager; the others are still called."""
    owner = Owner()
    future, calls = new(owner), []

    def broken(done: object) -> None:
        raise error

    future.add_done_callback(broken)
    future.add_done_callback(calls.append)
    run(future)
    future.add_done_callback(broken)
    assert (calls, owner.faults) == ([future], [error, error])


def test_waiting_threads_go_before_callbacks() -> None:
    """A slow callback does not delay a thread that waits: threads are notified first."""
    future, told = new(), []
    future.add_done_callback(lambda done: told.append(waiter.lock.locked()))
    waiter = Waiter()
    future._watch(waiter)
    run(future)
    assert told == [False]


def test_only_the_manager_decides() -> None:
    """The setters of concurrent.futures.Future raise."""
    future = new()
    for setter in (
        lambda: future.set_result(1),
        lambda: future.set_exception(ValueError()),
        future.set_running_or_notify_cancel,
    ):
        with pytest.raises(cf.InvalidStateError):
            setter()
    assert not future.done()


def test_wait_and_as_completed_on_done_ones() -> None:
    """concurrent.futures.wait and as_completed take futures that are done."""
    done, failed, cancelled = new(), new(), new()
    run(done)
    begin(failed)
    fail(failed, ValueError())
    cancelled.cancel()
    everything = {done, failed, cancelled}
    assert cf.wait(everything, timeout=0).done == everything
    assert set(cf.as_completed(everything, timeout=0)) == everything


@pytest.mark.parametrize("kind", ["result", "error", "cancelled"])
@pytest.mark.parametrize("when", [cf.ALL_COMPLETED, cf.FIRST_COMPLETED, cf.FIRST_EXCEPTION])
def test_wait_is_told(kind: str, when: str) -> None:
    """Each kind of outcome wakes concurrent.futures.wait."""
    future = new()

    def end() -> None:
        if kind == "cancelled":
            future.cancel()
        elif begin(future):
            _ = succeed(future) if kind == "result" else fail(future, ValueError())

    lined_up = threading.Event()
    HookedBridge(future, after=lined_up.set)
    waiting = Thread(lambda: cf.wait([future], return_when=when, timeout=20))
    assert lined_up.wait(20)
    end()
    assert waiting.join().done == {future}


def test_await() -> None:
    """A future can be awaited in any event loop, whether or not it is done."""

    async def both() -> list[object]:
        early, late = new(), new()
        run(early, 1)
        asyncio.get_running_loop().call_soon(run, late, 2)
        return [await early, await late]

    assert asyncio.run(both()) == [1, 2]


def test_cancelling_the_waiter_cancels_the_task() -> None:
    """Cancelling the coroutine that awaits cancels the task."""
    future = new()

    async def cancelled() -> None:
        waiter = asyncio.ensure_future(asyncio.wrap_future(future))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()

    asyncio.run(cancelled())
    assert future.cancelled()


def test_landed_result_is_found_by_whoever_looks() -> None:
    """result() finds a result that is in the log before its worker has gone on."""
    future = new()
    begin(future)
    go_on = land(future, "landed")
    assert future.result(0) == "landed"
    assert future.done()
    assert go_on() is True
    assert future.result() == "landed"


MARKS = st.sampled_from(["RUN", "BACK", "DONE", "forced", "gentle", "watcher"])


def reference(log: list[str]) -> int | None:
    """Returns the index of the outcome by the rules of the module's docstring, read one entry at a time."""
    for index, entry in enumerate(log):
        attempts = [mark for mark in log[:index] if mark in ("RUN", "BACK")]
        runs = attempts[-1:] == ["RUN"]
        if entry in ("DONE", "forced") or (entry == "gentle" and not runs):
            return index
    return None


@given(st.lists(MARKS, max_size=12))
def test_outcome_in(names: list[str]) -> None:
    """The outcome is the first ending that counts: DONE and forced ones always,
    others while no attempt runs."""
    marks = {"RUN": RUN, "BACK": BACK, "DONE": DONE, "watcher": Waiter()}
    log = [marks[n] if n in marks else Ending(ValueError(), forced=n == "forced") for n in names]
    index = reference(names)
    found = outcome_in(tuple(log))
    assert found is (None if index is None else log[index])


@given(
    st.lists(
        st.sampled_from(["begin", "succeed", "fail", "back", "cancel", "kill", "watch"]),
        max_size=14,
    )
)
def test_everybody_is_told_once(steps: list[str]) -> None:
    """In any order of steps there is one outcome, it never changes, and each
    callback is called once."""
    future, calls, watchers = new(), [], 0
    running, outcomes = False, set()
    for step in steps:
        if step == "watch":
            future.add_done_callback(lambda done, number=watchers: calls.append(number))
            watchers += 1
        elif step == "cancel":
            future.cancel()
        elif step == "kill":
            future._end(Ending(TaskKilled("bye"), cancelled=True, forced=True))
        elif step == "begin" and not running:
            running = begin(future)
        elif running:
            running = False
            {"succeed": lambda: succeed(future), "fail": lambda: fail(future, OSError())}.get(
                step, lambda: give_back(future)
            )()
        if future.done():
            outcomes.add((future.cancelled(), repr(future._error), future._result))
            assert sorted(calls) == list(range(watchers))
        else:
            assert calls == []
    assert len(outcomes) <= 1
