"""``map``: submits inputs lazily and within a bound, and yields results in order or as tasks end.

Inputs are read in the caller's thread, and only while no result is due: reading may wait, for a file, a queue or a
network, and must not hold back what is ready.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, TypeVar

from tasker.core.mapping import cancel_all
from tasker.errors import DeadlockError

from .future import TaskFuture

if TYPE_CHECKING:  # it imports what `import tasker` has no need of yet
    from .waits import WaitRegistry

T = TypeVar("T")
A = TypeVar("A")


class _Feed(Generic[A, T]):
    """Reads inputs and submits them. An error of either ends the feed; it is raised after the results before it were
    yielded."""

    def __init__(self, submit: Callable[[A], TaskFuture[T]], inputs: Iterable[A]) -> None:
        self._futures = map(submit, inputs)
        self._error: BaseException | None = None
        self.open: bool = True
        """Whether there may be more inputs."""

    def submit_next(self, add: Callable[[TaskFuture[T]], object]) -> None:
        """Submits one more task, if there is an input, and calls ``add`` with its future."""
        try:
            for future in self._futures:
                add(future)
                return
        except Exception as error:
            self._error = error
        self.open = False

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def in_order(submit: Callable[[A], TaskFuture[T]], inputs: Iterable[A], look_ahead: int, prompt: bool) -> Iterator[T]:
    """Yields results in the order of the inputs, with at most ``look_ahead`` tasks submitted and not yet yielded.
    ``prompt``: neither reading an input nor submitting it ever waits."""
    feed = _Feed(submit, inputs)
    window: deque[TaskFuture[T]] = deque()
    try:
        while True:
            while True:  # docs/decisions/0043
                if not feed.open or len(window) >= look_ahead or (window and window[0].done()):
                    break
                feed.submit_next(window.append)
            if not window:
                break
            # Removed only then: if this wait is interrupted, or would never end, its task is not wanted either.
            result = window[0].result()
            del window[0]
            if prompt and feed.open:
                # Before the yield, so that workers stay busy while the caller uses the result.
                feed.submit_next(window.append)
            yield result
            del result  # or it would be kept alive until the next one is there
        feed.raise_error()
    finally:
        # Also if the caller closes the iterator, or a task has failed: the tasks ahead are not wanted any more.
        cancel_all(window, attrgetter("_owner"))


def as_completed(
    submit: Callable[[A], TaskFuture[T]], inputs: Iterable[A], look_ahead: int, prompt: bool, waits: WaitRegistry
) -> Iterator[T]:
    """Yields results as tasks end, with at most ``look_ahead`` tasks submitted and not yet yielded. ``prompt``: neither
    reading an input nor submitting it ever waits."""
    feed = _Feed(submit, inputs)
    ended: queue.SimpleQueue[TaskFuture[T] | DeadlockError] = queue.SimpleQueue()
    pending: set[TaskFuture[T]] = set()

    def add(future: TaskFuture[T]) -> None:
        pending.add(future)
        future.add_done_callback(ended.put)

    def wait_for_one() -> TaskFuture[T]:
        if ended.empty():
            # ``get`` of a queue is a wait that the futures do not announce by themselves.
            ticket = waits.enter_group(pending, ended.put, first=True)
            try:
                found = ended.get()
            finally:
                waits.leave(ticket)
        else:
            found = ended.get()
        if isinstance(found, DeadlockError):
            raise found
        return found

    try:
        while True:
            while True:  # docs/decisions/0043
                if not feed.open or len(pending) >= look_ahead or not ended.empty():
                    break
                feed.submit_next(add)
            if not pending:
                break
            future = wait_for_one()
            pending.discard(future)
            result = future.result()
            if prompt and feed.open:
                feed.submit_next(add)  # before the yield, as above
            yield result
            del result, future
        feed.raise_error()
    finally:
        cancel_all(pending, attrgetter("_owner"))
