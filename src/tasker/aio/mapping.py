"""``map``: submits inputs lazily and within a bound, and yields results in order or as tasks end. The inputs may be a
synchronous or an asynchronous iterable."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from tasker.core.mapping import cancel_all

from .future import AsyncTaskFuture
from .queue_slots import AnnouncedWait, HasLoop

T = TypeVar("T")
A = TypeVar("A")
_END = object()


class _Feed(Generic[A, T]):
    """Reads inputs and submits them. An error of either ends the feed; it is raised after the results before it were
    yielded."""

    def __init__(
        self, submit: Callable[[A], Awaitable[AsyncTaskFuture[T]]], inputs: Iterable[A] | AsyncIterable[A]
    ) -> None:
        self._submit = submit
        self._async = aiter(inputs) if isinstance(inputs, AsyncIterable) else None
        self._sync = None if isinstance(inputs, AsyncIterable) else iter(inputs)
        self._error: BaseException | None = None

    async def next(self) -> AsyncTaskFuture[T] | None:
        """Submits one more task and returns its future, or None if there are no more inputs."""
        if self._error is not None:
            return None
        try:
            item: Any = await anext(self._async, _END) if self._async is not None else next(self._sync, _END)  # type: ignore[arg-type]
            return None if item is _END else await self._submit(item)
        except Exception as error:
            self._error = error
            return None

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


async def in_order(
    submit: Callable[[A], Awaitable[AsyncTaskFuture[T]]],
    inputs: Iterable[A] | AsyncIterable[A],
    look_ahead: int,
) -> AsyncIterator[T]:
    """Yields results in the order of the inputs, with at most ``look_ahead`` tasks submitted and not yet yielded."""
    feed = _Feed(submit, inputs)
    window: deque[AsyncTaskFuture[T]] = deque()
    try:
        while len(window) < look_ahead and (future := await feed.next()) is not None:
            window.append(future)
        future = None
        while window:
            result = await window.popleft()
            # Submitted before the yield, so that workers stay busy while the caller uses the result.
            if (future := await feed.next()) is not None:
                window.append(future)
            # Neither the future nor the result may be kept alive until the caller asks for the next one.
            future = None
            yield result
            del result
        feed.raise_error()
    finally:
        # Also if the caller closes the iterator, or a task has failed: the tasks ahead are not wanted any more.
        cancel_all(window)


async def as_completed(
    submit: Callable[[A], Awaitable[AsyncTaskFuture[T]]],
    inputs: Iterable[A] | AsyncIterable[A],
    look_ahead: int,
    engine_of: Callable[[], HasLoop],
) -> AsyncIterator[T]:
    """Yields results as tasks end, with at most ``look_ahead`` tasks submitted and not yet yielded."""
    feed = _Feed(submit, inputs)
    ended: deque[AsyncTaskFuture[T]] = deque()
    pending: set[AsyncTaskFuture[T]] = set()
    wait: AnnouncedWait | None = None

    def end(future: AsyncTaskFuture[T]) -> None:
        ended.append(future)
        if wait is not None and not wait.done():
            wait.set_result(None)

    async def submit_next() -> bool:
        future = await feed.next()
        if future is None:
            return False
        pending.add(future)
        future.add_done_callback(end)
        return True

    try:
        while len(pending) < look_ahead and await submit_next():
            pass
        while pending:
            if not ended:
                # A future of the manager's, which the search for deadlocks knows, and not an ``asyncio.Queue``.
                engine = engine_of()
                wait = AnnouncedWait(loop=engine.loop)
                wait._engine, wait.what = engine, f"the first of {len(pending)} tasks of a map"
                await wait
                wait = None
            done = ended.popleft()
            pending.discard(done)
            result = await done
            await submit_next()
            yield result
            del result, done
        feed.raise_error()
    finally:
        cancel_all(pending)
