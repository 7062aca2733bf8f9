"""``map``: submits inputs lazily and within a bound, and yields results in order or as tasks end. The inputs may be a
synchronous or an asynchronous iterable; see ``map_inputs``."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeVar

from tasker.core.mapping import cancel_all

from .future import AsyncTaskFuture
from .map_inputs import AsyncInputs, Bell, Inputs, SyncInputs
from .queue_slots import AnnouncedWait, HasLoop

T = TypeVar("T")
A = TypeVar("A")


class _Window(Protocol[T]):
    """The tasks that were submitted and whose results were not yielded yet."""

    def __len__(self) -> int: ...
    def add(self, future: AsyncTaskFuture[T]) -> None:
        """Adds a task."""

    @property
    def due(self) -> bool:
        """Whether there is a result to yield next."""
        ...

    def watch(self, bell: Bell) -> None:
        """Has ``bell`` rung once a result is due."""

    async def take(self) -> AsyncTaskFuture[T]:
        """Removes the task whose result is to be yielded next, and returns it, done or not."""
        ...

    def discard(self) -> None:
        """Cancels all tasks."""


class InOrder(Generic[T]):
    """Implements ``_Window`` for results in the order of the inputs."""

    def __init__(self) -> None:
        self._futures: deque[AsyncTaskFuture[T]] = deque()
        self._watched: AsyncTaskFuture[T] | None = None
        self._bell: Bell | None = None

    def __len__(self) -> int:
        return len(self._futures)

    def add(self, future: AsyncTaskFuture[T]) -> None:
        """See ``_Window``."""
        self._futures.append(future)

    @property
    def due(self) -> bool:
        """See ``_Window``."""
        return bool(self._futures) and self._futures[0].done()

    def watch(self, bell: Bell) -> None:
        """See ``_Window``."""
        self._bell = bell
        if not self._futures:
            return
        head = self._futures[0]
        bell._children += (head,)
        if head is not self._watched:
            self._watched = head
            head.add_done_callback(self._ring)

    def _ring(self, _: object) -> None:
        if self._bell is not None:
            self._bell.ring()

    async def take(self) -> AsyncTaskFuture[T]:
        """See ``_Window``."""
        self._watched = None  # it would keep the result alive
        return self._futures.popleft()

    def discard(self) -> None:
        """See ``_Window``."""
        _discard(self._futures)


class AsCompleted(Generic[T]):
    """Implements ``_Window`` for results as the tasks end."""

    def __init__(self, engine_of: Callable[[], HasLoop]) -> None:
        self._engine_of = engine_of
        self._ended: deque[AsyncTaskFuture[T]] = deque()
        self._pending: set[AsyncTaskFuture[T]] = set()
        self._bell: Bell | None = None
        self._wait: AnnouncedWait | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, future: AsyncTaskFuture[T]) -> None:
        """See ``_Window``."""
        self._pending.add(future)
        future.add_done_callback(self._end)

    def _end(self, future: AsyncTaskFuture[T]) -> None:
        self._ended.append(future)
        if self._bell is not None:
            self._bell.ring()
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)

    @property
    def due(self) -> bool:
        """See ``_Window``."""
        return bool(self._ended)

    def watch(self, bell: Bell) -> None:
        """See ``_Window``."""
        self._bell = bell
        bell._children += (*self._pending,)

    async def take(self) -> AsyncTaskFuture[T]:
        """See ``_Window``."""
        if not self._ended:
            # A future of the manager's, which the search for deadlocks knows, and not an ``asyncio.Queue``.
            engine = self._engine_of()
            self._wait = AnnouncedWait(loop=engine.loop)
            self._wait._engine, self._wait.what = engine, f"the first of {len(self._pending)} tasks of a map"
            await self._wait
            self._wait = None
        done = self._ended.popleft()
        self._pending.discard(done)
        return done

    def discard(self) -> None:
        """See ``_Window``."""
        _discard(self._pending)


async def results(
    submit: Callable[[A], Awaitable[AsyncTaskFuture[T]]],
    inputs: Iterable[A] | AsyncIterable[A],
    look_ahead: int,
    window: _Window[T],
    bounded: bool,
) -> AsyncIterator[T]:
    """Yields results, with at most ``look_ahead`` tasks submitted and not yet yielded. ``bounded``: whether ``submit``
    may have to wait.

    A result that is due is yielded before an input is waited for. An error of the inputs, or of ``submit``, is raised
    after the results before it were yielded.
    """
    feed: Inputs[A] = AsyncInputs(inputs) if isinstance(inputs, AsyncIterable) else SyncInputs(inputs)
    ahead = _Ahead(submit, feed, look_ahead, window)
    try:
        while True:  # docs/decisions/0043
            if not await ahead.next_is_due():
                break
            future = await window.take()
            try:
                result = await future
            except BaseException:  # also where the wait would never end: then its task is not wanted either
                _discard((future,))
                raise
            del future
            # Before the yield, so that workers stay busy while the caller uses the result.
            if feed.prompt and not bounded and feed.ready:
                await ahead.submit_next()
            yield result
            del result  # or it would be kept alive until the caller asks for the next one
        if ahead.error is not None:
            raise ahead.error
    finally:
        # Also if the caller closes the iterator, or a task has failed: the tasks ahead are not wanted any more.
        window.discard()
        await feed.close()


class _Ahead(Generic[A, T]):
    """Submits the inputs of a map ahead of its results."""

    def __init__(
        self,
        submit: Callable[[A], Awaitable[AsyncTaskFuture[T]]],
        feed: Inputs[A],
        look_ahead: int,
        window: _Window[T],
    ) -> None:
        self._submit = submit
        self._feed = feed
        self._look_ahead = look_ahead
        self._window = window
        self.error: Exception | None = None
        """The error of the inputs, or of ``submit``, which has ended them."""

    @property
    def _wants_more(self) -> bool:
        return not self._window.due and not self._feed.ended and len(self._window) < self._look_ahead

    async def submit_next(self) -> None:
        """Submits the next input."""
        try:
            for item in await self._feed.take():
                self._window.add(await self._submit(item))
        except Exception as fault:
            self.error, self._feed.ended = fault, True

    async def next_is_due(self) -> bool:
        """Submits inputs until a result is due, or no more may be submitted. Returns False if none is left."""
        while self._wants_more:
            if self._feed.ready:
                await self.submit_next()
                continue
            bell = Bell()
            self._window.watch(bell)
            self._feed.watch(bell, self._look_ahead - len(self._window))
            await bell
        return len(self._window) > 0


def _discard(futures: Iterable[AsyncTaskFuture[Any]]) -> None:
    """Cancels tasks that are not wanted any more, and with them their outcomes: no error counts as never retrieved."""
    discarded = list(futures)
    try:
        cancel_all(discarded, attrgetter("_engine"))
    finally:
        for future in discarded:
            if future.done():
                _retrieve(future)
            else:
                future.add_done_callback(_retrieve)


def _retrieve(future: AsyncTaskFuture[Any]) -> None:
    if not future.cancelled():
        future.exception()
