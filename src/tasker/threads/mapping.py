"""``map``: submits inputs lazily and within a bound, and yields results in order or as tasks end."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tasker.core.mapping import cancel_all

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

    def next(self, count: int) -> Iterator[TaskFuture[T]]:
        if self._error is None:
            try:
                yield from islice(self._futures, count)
            except Exception as error:
                self._error = error

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def in_order(submit: Callable[[A], TaskFuture[T]], inputs: Iterable[A], look_ahead: int) -> Iterator[T]:
    """Yields results in the order of the inputs, with at most ``look_ahead`` tasks submitted and not yet yielded."""
    feed = _Feed(submit, inputs)
    window: deque[TaskFuture[T]] = deque()
    try:
        window.extend(feed.next(look_ahead))
        while window:
            result = window.popleft().result()
            # Submitted before the yield, so that workers stay busy while the caller uses the result.
            window.extend(feed.next(1))
            yield result
            del result  # or it would be kept alive until the next one is there
        feed.raise_error()
    finally:
        # Also if the caller closes the iterator, or a task has failed: the tasks ahead are not wanted any more.
        cancel_all(window)


class _AnyOf:
    """Represents the wait for any one of several tasks, for the search for deadlocks."""

    def __init__(self, futures: set[TaskFuture[Any]]) -> None:
        self._futures = futures

    def done(self) -> bool:
        # The search for deadlocks calls it in other threads while the set may change: the copy is one step.
        return any(future.done() for future in tuple(self._futures))

    def __repr__(self) -> str:
        return f"the first of {len(self._futures)} tasks of a map"


def as_completed(
    submit: Callable[[A], TaskFuture[T]], inputs: Iterable[A], look_ahead: int, waits: WaitRegistry
) -> Iterator[T]:
    """Yields results as tasks end, with at most ``look_ahead`` tasks submitted and not yet yielded."""
    feed = _Feed(submit, inputs)
    ended: queue.SimpleQueue[TaskFuture[T]] = queue.SimpleQueue()
    pending: set[TaskFuture[T]] = set()

    def submit_next(count: int) -> None:
        for future in feed.next(count):
            pending.add(future)
            future.add_done_callback(ended.put)

    try:
        submit_next(look_ahead)
        while pending:
            if ended.empty():
                # ``get`` of a queue is a wait that the futures do not announce by themselves.
                ticket = waits.enter(_AnyOf(pending))
                try:
                    future = ended.get()
                finally:
                    waits.leave(ticket)
            else:
                future = ended.get()
            pending.discard(future)
            result = future.result()
            submit_next(1)  # before the yield, as above
            yield result
            del result, future
        feed.raise_error()
    finally:
        cancel_all(pending)
