"""Makes a TaskFuture without a manager: with an owner that records its calls, and the steps of a worker one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tasker.context import Context
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import BACK, DONE, FINISHED, RUN, SETTLED, Callback, Ending, opened
from unit.hooks import HookedList


class Owner:
    """Records what a future reports to its manager."""

    def __init__(self) -> None:
        self.ended: list[tuple[Any, Ending]] = []
        self.faults: list[BaseException] = []
        self.waits: list[str] = []

    def ended_in_queue(self, future: Any, ending: Ending) -> None:
        """Records a task that ended while no attempt ran."""
        self.ended.append((future, ending))

    def left_queue(self, future: Any) -> None:
        """Does nothing: there is no queue."""

    def soon(self, call: Callable[[], None]) -> None:
        """Makes the call in another thread, as the manager's own thread does."""
        threading.Thread(target=call, daemon=True).start()

    def recall(self, future: Any) -> None:
        """Does nothing: no task was sent ahead."""

    def callback_fault(self, future: Any, error: BaseException) -> None:
        """Records the error of a callback."""
        self.faults.append(error)

    def callback(self, future: Any, fn: Callable[[Any], object]) -> Callback:
        """Makes a plain watcher."""
        return Callback(fn)

    def enter_wait(self, future: Any, waiter: Any) -> object:
        """Records the begin of a wait without a limit."""
        self.waits.append("enter")
        return self

    def leave_wait(self, ticket: object) -> None:
        """Records the end of a wait."""
        assert ticket is self
        self.waits.append("leave")


def named(number: int = 7) -> None:
    """Names the task of these futures; is never called."""


def new(owner: Owner | None = None, log: HookedList | None = None) -> TaskFuture[Any]:
    """Makes a future as `submit` does."""
    future: TaskFuture[Any] = TaskFuture._accepted(owner or Owner(), 1, named, (), queued_at=1.0)
    if log is not None:
        future._log = log
    return future


def begin(future: TaskFuture[Any]) -> bool:
    """Starts an attempt as a worker does. Returns False if it must not start."""
    future._context = Context()
    future._worker = "tasker-1"
    future._started_at = 2.0
    log = opened(future)
    log.append(RUN)
    if len(log) > 1 and not future._may_run():
        return False
    future._attempts += 1
    return True


def succeed(future: TaskFuture[Any], value: Any = "value") -> bool:
    """Ends the attempt with a result. Returns whether that is the outcome."""
    future._finished_at = 3.0
    future._value = value
    log = future._log
    log.append(DONE)
    if len(log) == 2:
        future._kind = FINISHED
        future._log = SETTLED
        future._task = future._args = future._variables = future._context = None
        return True
    if future._after(DONE):
        return True
    future._value = None
    return False


def land(future: TaskFuture[Any], value: Any = "value") -> Callable[[], bool]:
    """Appends the result to the log, and stops the worker there. Returns a function that lets it go on."""
    future._finished_at = 3.0
    future._value = value
    list.append(opened(future), DONE)
    return lambda: future._after(DONE)


def fail(future: TaskFuture[Any], error: BaseException) -> bool:
    """Ends the attempt with an error."""
    future._finished_at = 3.0
    return future._end(Ending(error, forced=True))


def give_back(future: TaskFuture[Any]) -> None:
    """Ends the attempt without an outcome."""
    opened(future).append(BACK)


def run(future: TaskFuture[Any], value: Any = "value") -> bool:
    """Runs a whole attempt that succeeds."""
    return begin(future) and succeed(future, value)


class Thread:
    """Runs a function in a thread; `join` returns its result or raises its error."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn = fn
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._outcome = self._fn()
        except BaseException as error:
            self._error = error

    def join(self) -> Any:
        """Returns the result of `fn`. Fails if it does not return."""
        self._thread.join(20.0)
        assert not self._thread.is_alive(), "it hangs"
        if self._error is not None:
            raise self._error
        return self._outcome
