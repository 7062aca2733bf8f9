"""What an ``AsyncTaskManager`` has of its children: workers, and the resources of ``run_task``."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.aio.future import AsyncTaskFuture
from tasker.aio.resources import AsyncResourceHandle
from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.errors import TaskCancelled, WorkerLost
from tasker.logs import task_name
from tasker.process.protocol.errors import garbled, unpack_error
from tasker.process.protocol.messages import ERROR, GARBLED, GONE, LARGE, RESULT, SKIPPED, Answer
from tasker.process.protocol.orders import Inline, Orders
from tasker.process.sessions import ProcessSessions

from .aio_host import AsyncRemoteWorker, AsyncSession
from .context import RemoteContext
from .recycling import RecycleLimits

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine


class AsyncBackend(ProcessSessions):
    """See the module's docstring."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine.config, engine.log, asynchronous=True)
        self._engine = engine

    worker: type[AsyncRemoteWorker] = AsyncRemoteWorker
    """What its workers are."""

    def recall(self, future: AsyncTaskFuture[Any]) -> None:
        """If the task was sent ahead and has not begun, it is to wait in the queue again."""
        for worker in self._workers():
            if worker.name == future.worker and worker.shard.future is not future and worker.window is not None:
                worker.window.recall()

    def overtake(self, priority: int) -> None:
        """A task of that priority waits: whatever was sent ahead and is less urgent waits behind it."""
        for worker in self._workers():
            if worker.window is not None and worker.window.lowest() > priority:
                worker.window.recall()

    def _workers(self) -> list[AsyncRemoteWorker]:
        return [worker for worker in self._engine.workers.values() if isinstance(worker, AsyncRemoteWorker)]

    # -- what ``AsyncMaker`` does for resources in this process ---------------------------------------------------

    async def make(self, name: str) -> AsyncResourceHandle:
        """A child with a resource, for ``run_task``."""
        remote = AsyncRemoteResource(self._engine, self, name)
        handle = AsyncResourceHandle(None, None, remote.close)
        handle.remote = remote
        remote.child.on_end = lambda: self._lost(handle)
        await remote.child.open()
        return handle

    def _lost(self, handle: AsyncResourceHandle) -> None:
        remote = handle.remote
        assert remote is not None
        remote.broken = remote.child.dead = True
        if self._engine.pool.lost(handle):
            self._engine.report(PoolResourceLost())

    async def end(self, handle: AsyncResourceHandle) -> None:
        """Ends such a child."""
        assert handle.end is not None
        await handle.end()


class AsyncRemoteResource:
    """One child of ``run_task``, for one caller at a time."""

    def __init__(self, engine: AsyncEngine, house: ProcessSessions, name: str) -> None:
        self._engine = engine
        self.child: AsyncSession = AsyncSession(engine, house, name)
        self._orders = Orders()
        self.broken: bool = False
        """Whether it can't be used any more."""
        self.recycle_limits: RecycleLimits = RecycleLimits(house.options)

    def context(self) -> Context:
        """For the next task."""
        assert self.child.session is not None
        return RemoteContext(self._engine.root, self.child.session, next(self.child.session.numbers))

    async def close(self) -> None:
        """Destroys the resource, and ends the child."""
        if self.broken and not self.child.dead:
            self.child.kill()
        await self.child.close()

    async def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error. Cancelling this cancels the task, and waits for
        its end."""
        session = self.child.session
        assert session is not None and isinstance(context, RemoteContext)
        inline = Inline(task, args, contextvars.copy_context())
        order = self._orders.order(context.number, inline, alone=True)
        session.order([(context.number, None, 0)], [order])
        waiting = self._engine.loop.create_task(self._answer(), context=contextvars.Context())
        cancelled: BaseException | None = None
        while not waiting.done():
            try:
                await asyncio.wait([waiting])
            except asyncio.CancelledError as error:
                cancelled = error
                context.cancel(TaskCancelled(f"the caller of {inline.label} was cancelled"))
        session.in_flight.clear()
        self.recycle_limits.served += 1
        try:
            answer = waiting.result()
        except EOFError:
            self.broken = self.child.dead = True
            answer = None
        if cancelled is not None:
            raise cancelled
        return await self._outcome(context, answer, inline)

    async def _outcome(self, context: Context, answer: Answer | None, inline: Inline) -> Any:
        if answer is None:
            lost = await self.child.death()
            context.raise_if_cancelled()
            raise lost
        if answer[0] == RESULT:
            return answer[2]
        if answer[0] == GARBLED:
            raise garbled(inline.label, answer[1])
        if answer[0] == ERROR:
            assert self.child.session is not None
            self.child.session.judged += 1  # if it was the resource's fault, this child gets no more tasks
            error = unpack_error(answer[2])
            if answer[5] and not context.cancelled:
                Context.cancel(context, error)
            raise error
        context.raise_if_cancelled()
        raise WorkerLost(f"worker {self.child.name} did not run {task_name(inline._task)}")

    async def _answer(self) -> Answer:
        reader = self.child.reader
        assert reader is not None
        while True:
            for answer in await reader.answers():
                if answer[0] in (RESULT, ERROR, SKIPPED, GARBLED):
                    return answer
                self.child.destroyed = self.child.destroyed or answer[0] == GONE
                self.recycle_limits.large = self.recycle_limits.large or answer[0] == LARGE
