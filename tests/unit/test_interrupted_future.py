"""Tests ``cancel`` and other endings that are interrupted on their way: whoever finds the ending in the log finishes it."""

from __future__ import annotations

import concurrent.futures
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import wait_until
from tasker.errors import TaskCancelled
from tasker.threads import completion
from tasker.threads.callback_runner import callback_runner
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import Bridge, Callback, Ending
from unit.futures import Owner, Thread, begin, new
from unit.interrupts import each_moment


class Struck(Owner):
    """An owner at which so many steps are interrupted."""

    def __init__(self, step: str, times: int = 2) -> None:
        super().__init__()
        self.step = step
        self.times = times
        self.left: list[Any] = []

    def _strike(self, step: str) -> None:
        if step == self.step and self.times:
            self.times -= 1
            raise RecursionError

    def ended_in_queue(self, future: Any, ending: Ending) -> None:
        """Counts the ending once, and may be interrupted before or behind that."""
        self._strike("before it is counted")
        try:
            del ending.uncounted
        except AttributeError:
            pass
        else:
            super().ended_in_queue(future, ending)
        self._strike("after it was counted")

    def left_queue(self, future: Any) -> None:
        """Keeps the future. May be called again: two threads may complete an ending at once, and a task that has left the
        queue is not found there a second time."""
        self._strike("after it was notified")
        self.left.append(future)


FINDERS: dict[str, Callable[[TaskFuture[Any]], object]] = {
    "a canceller": lambda future: future.cancel(),
    "a waiter": lambda future: future.exception_or_cancelled(),
    "a worker": lambda future: (begin(future), completion.finish(future)),
    "a kill": lambda future: future._end(Ending(TaskCancelled("kill"), cancelled=True)),
    "a callback": lambda future: future.add_done_callback(lambda _: None),
}


class Future(TaskFuture[Any]):
    """Adds what the finders need."""

    __slots__ = ()

    def exception_or_cancelled(self) -> object:
        """Waits for the outcome, which is a cancellation."""
        with pytest.raises(TaskCancelled):
            self.result(5)
        return None


def make(owner: Owner) -> Future:
    """Makes a future as `submit` does."""
    return Future._accepted(owner, 1, new, (), queued_at=1.0)


@pytest.mark.parametrize("finder", FINDERS)
@pytest.mark.parametrize("step", ["before it is counted", "after it was counted", "after it was notified"])
def test_an_interrupted_cancel(step: str, finder: str) -> None:
    """The next that looks at the task completes the cancellation: it is counted once, and each watcher is notified once."""
    owner = Struck(step)
    future, calls = make(owner), []
    future.add_done_callback(calls.append)
    waiting = Thread(lambda: future.exception_or_cancelled())
    wait_until(lambda: len(future._log) >= 2, what="it waits")
    with pytest.raises(RecursionError):
        future.cancel()
    FINDERS[finder](future)
    waiting.join()
    assert (len(owner.ended), calls, set(owner.left)) == (1, [future], {future})
    assert future.cancelled()
    assert future.cancel() is True
    assert (len(owner.ended), calls, set(owner.left)) == (1, [future], {future})


@pytest.mark.parametrize("step", ["before it is counted", "after it was counted", "after it was notified"])
def test_a_cancel_that_is_interrupted_once(step: str) -> None:
    """It does the rest by itself, and then raises."""
    owner = Struck(step, times=1)
    future, calls = make(owner), []
    future.add_done_callback(calls.append)
    with pytest.raises(RecursionError):
        future.cancel()
    assert (future.cancelled(), len(owner.ended), calls, owner.left) == (True, 1, [future], [future])


def test_ctrl_c_at_each_moment_of_cancel() -> None:
    """Wherever it strikes, the task is either untouched, or cancelled with all that follows; a second cancel completes it."""
    futures: list[tuple[Future, Struck, list[Any]]] = []

    def cancel() -> bool:
        owner, calls = Struck("never"), []
        future = make(owner)
        future._log = []
        futures.append((future, owner, calls))
        list.append(future._log, Callback(lambda _: calls.append(threading.get_ident())))
        return future.cancel()

    struck = 0
    for where, _, error in each_moment(
        cancel,
        TaskFuture.cancel,
        TaskFuture._end,
        TaskFuture._append,
        TaskFuture._decide,
        completion.complete,
        completion.finish,
        TaskFuture._publish,
        Callback.notify,
        type(callback_runner).call,
    ):
        if where is None:
            break
        struck += 1
        assert isinstance(error, KeyboardInterrupt), (where, error)
        future, owner, calls = futures[-1]
        assert future.done() is bool(calls) is bool(owner.left), where
        assert future.cancel() is True
        assert (len(owner.ended), len(calls), set(owner.left)) == (1, 1, {future}), where
    assert struck > 10


def test_cancel_near_the_recursion_limit() -> None:
    """At whatever depth the stack is used up, the next look at the task completes what was begun."""
    limit = sys.getrecursionlimit()

    def at(depth: int, fn: Callable[[], object]) -> object:
        return fn() if depth <= 0 else at(depth - 1, fn)

    failed = 0
    sys.setrecursionlimit(400)
    try:
        for depth in range(400, 200, -1):
            owner, calls = Struck("never"), []
            future = make(owner)
            future.add_done_callback(calls.append)
            try:
                at(depth, future.cancel)
            except RecursionError:
                failed += 1
            assert future.cancel() is True
            assert (future.cancelled(), len(owner.ended), len(calls), len(owner.left)) == (True, 1, 1, 1), depth
    finally:
        sys.setrecursionlimit(limit)
    assert 0 < failed < 200


def test_an_interrupted_chain_of_callbacks() -> None:
    """Callbacks that were postponed because of a long chain are called all the same, if one of them is interrupted."""
    owner, called = Owner(), threading.Event()
    other = new(owner)

    def deepest(future: Any) -> None:
        callback_runner.call(other, [Callback(lambda _: called.set())])

    class Interrupted(Callback):
        __slots__ = ()

        def notify(self, future: Any) -> None:
            if self.due:
                self.due = False
                raise KeyboardInterrupt

    future = new(owner)
    callback_runner.depth = 19
    try:
        with pytest.raises(KeyboardInterrupt):
            callback_runner.call(future, [Callback(deepest), Interrupted(print)])
    finally:
        callback_runner.depth = 0
    assert called.wait(20)
    assert callback_runner.postponed is None


def test_callbacks_after_a_call() -> None:
    """Those of all tasks that it ends are called after it, in order, and once, whatever moment between them is struck."""
    ended: list[int] = []
    called: list[int] = []

    def end_some() -> None:
        for number in (1, 2, 3):
            ended.append(number)
            callback_runner.call(new(), [Callback(lambda _, number=number: called.append(number))])
            assert not called

    struck = 0
    for where, _, error in each_moment(lambda: callback_runner.after(end_some), type(callback_runner).after):
        wait_until(lambda: len(called) == len(ended), what=f"all are called: {where}")
        assert sorted(called) == ended
        assert callback_runner.postponed is None
        if where is None:
            assert called == [1, 2, 3]
        else:
            struck += bool(ended)
            assert isinstance(error, KeyboardInterrupt)
        ended.clear()
        called.clear()
    assert struck > 2


@pytest.mark.parametrize("when", ["before it sleeps", "while it reads the states"])
def test_a_handler_that_cancels_inside_wait(when: str) -> None:
    """``concurrent.futures.wait`` in the thread that the signal handler has interrupted returns."""
    future = new()
    cancelled: list[bool] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: cancelled.append(future.cancel()))

    class Handled(Bridge):
        def append(self, waiter: Any) -> None:
            if when == "while it reads the states":
                signal.raise_signal(signal.SIGUSR1)
            super().append(waiter)
            real = waiter.event.wait

            def wait(timeout: float | None) -> bool:
                if when == "before it sleeps":
                    signal.raise_signal(signal.SIGUSR1)
                return real(timeout)

            waiter.event.wait = wait

    future._made_bridge = Handled(future)
    try:
        done, not_done = concurrent.futures.wait([future], timeout=20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (cancelled, done, not_done) == ([True], {future}, set())
