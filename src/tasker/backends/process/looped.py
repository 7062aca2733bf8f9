"""What an ``AsyncTaskManager`` has of its children: workers, and the resources of ``run_task``."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.aio.futures import AsyncTaskFuture
from tasker.aio.resources import AsyncHeld
from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.errors import TaskCancelled, WorkerLost
from tasker.logs import task_name

from .errors import garbled, unpack_error
from .house import House
from .loop_worker import LoopChild, ProcessWorker
from .messages import ERROR, GARBLED, GONE, LARGE, RESULT, SKIPPED, Answer
from .ordering import Inline, Orders
from .recycling import Wear
from .remote import RemoteContext

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine


class LoopHouse(House):
    """See the module's docstring."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine.config, engine.log, asynchronous=True)
        self._engine = engine

    worker: type[ProcessWorker] = ProcessWorker
    """What its workers are."""

    def recall(self, future: AsyncTaskFuture[Any]) -> None:
        """If the task was sent ahead and has not begun, it is to wait in the queue again."""
        for worker in self._workers():
            if worker.name == future.worker and worker.shard.future is not future and worker.traffic is not None:
                worker.traffic.recall()

    def overtake(self, priority: int) -> None:
        """A task of that priority waits: whatever was sent ahead and is less urgent waits behind it."""
        for worker in self._workers():
            if worker.traffic is not None and worker.traffic.lowest() > priority:
                worker.traffic.recall()

    def _workers(self) -> list[ProcessWorker]:
        return [worker for worker in self._engine.workers.values() if isinstance(worker, ProcessWorker)]

    # -- what ``AsyncMaker`` does for resources in this process ---------------------------------------------------

    async def make(self, name: str) -> AsyncHeld:
        """A child with a resource, for ``run_task``."""
        away = LoopAway(self._engine, self, name)
        held = AsyncHeld(None, None, away.close)
        held.away = away
        away.child.on_end = lambda: self._lost(held)
        await away.child.open()
        return held

    def _lost(self, held: AsyncHeld) -> None:
        away = held.away
        assert away is not None
        away.broken = away.child.dead = True
        if self._engine.pool.lost(held):
            self._engine.report(PoolResourceLost())

    async def end(self, held: AsyncHeld) -> None:
        """Ends such a child."""
        assert held.end is not None
        await held.end()


class LoopAway:
    """One child of ``run_task``, for one caller at a time."""

    def __init__(self, engine: AsyncEngine, house: House, name: str) -> None:
        self._engine = engine
        self.child: LoopChild = LoopChild(engine, house, name)
        self._orders = Orders()
        self.broken: bool = False
        """Whether it can't be used any more."""
        self.wear: Wear = Wear(house.options)

    def context(self) -> Context:
        """For the next task."""
        assert self.child.link is not None
        return RemoteContext(self._engine.root, self.child.link, next(self.child.link.numbers))

    async def close(self) -> None:
        """Destroys the resource, and ends the child."""
        if self.broken and not self.child.dead:
            self.child.kill()
        await self.child.close()

    async def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error. Cancelling this cancels the task, and waits for
        its end."""
        link = self.child.link
        assert link is not None and isinstance(context, RemoteContext)
        inline = Inline(task, args, contextvars.copy_context())
        order = self._orders.order(context.number, inline, alone=True)
        link.order([(context.number, None, 0)], [order])
        waiting = self._engine.loop.create_task(self._answer(), context=contextvars.Context())
        cancelled: BaseException | None = None
        while not waiting.done():
            try:
                await asyncio.wait([waiting])
            except asyncio.CancelledError as error:
                cancelled = error
                context.cancel(TaskCancelled(f"the caller of {inline.label} was cancelled"))
        link.flights.clear()
        self.wear.served += 1
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
            assert self.child.link is not None
            self.child.link.judged += 1  # if it was the resource's fault, this child gets no more tasks
            error = unpack_error(answer[2])
            if answer[5] and not context.cancelled:
                Context.cancel(context, error)
            raise error
        context.raise_if_cancelled()
        raise WorkerLost(f"worker {self.child.name} did not run {task_name(inline._task)}")

    async def _answer(self) -> Answer:
        ear = self.child.ear
        assert ear is not None
        while True:
            for answer in await ear.answers():
                if answer[0] in (RESULT, ERROR, SKIPPED, GARBLED):
                    return answer
                self.child.destroyed = self.child.destroyed or answer[0] == GONE
                self.wear.large = self.wear.large or answer[0] == LARGE
