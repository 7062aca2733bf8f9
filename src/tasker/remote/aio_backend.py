"""What an ``AsyncTaskManager`` has of its sessions: workers, and the resources of ``run_task``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from tasker.aio.cancellation import outlast
from tasker.aio.ports import EngineForWorkers
from tasker.aio.resource_handle import AsyncResourceHandle
from tasker.aio.tasks import start_task
from tasker.context import Context
from tasker.control.events import PoolResourceLost, Seat
from tasker.core.daemon import Daemon
from tasker.errors import TaskCancelled, TaskKilled, TaskTimeout
from tasker.worker_info import WorkerInfo

from .aio_host import AsyncRemoteWorker
from .aio_session import AsyncSession
from .backend import SessionsBackend
from .context import RemoteContext
from .events import SKIPPED, SessionEvent, checked, destruction
from .inline import InlineSession, InlineTask
from .ports import LoopBackendEngine
from .registry import open_sessions
from .session import Session, Sessions
from .window import InFlightWindow


class AsyncBackend(SessionsBackend):
    """See the module's docstring."""

    def __init__(self, engine: LoopBackendEngine) -> None:
        args_of = attrgetter("_held")
        super().__init__(open_sessions(engine.config, engine.log, asynchronous=True, args_of=args_of), engine.log)
        self._engine = engine
        self._released: asyncio.Future[None] | None = None
        """Done once what ``finish_apart`` has begun is over."""

    def finish_apart(self) -> None:
        """See ``RemoteBackend``. Not in the loop: what it waits for may be slow, may need the loop, and may hang."""
        loop = self._engine.loop
        self._released = released = loop.create_future()

        def finish() -> None:
            self.finish()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(released.set_result, None)

        try:
            Daemon(finish, f"{self._engine.config.name}-finish").start()
        except (RuntimeError, MemoryError):  # no more threads
            finish()

    async def released(self, limit: float | None) -> None:
        """See ``AsyncBackendPort``."""
        if self._released is not None:
            await asyncio.wait([self._released], timeout=limit)

    def worker(self, engine: EngineForWorkers, seat: Seat) -> AsyncRemoteWorker:
        """Makes a worker whose resource lives in a session."""
        return AsyncRemoteWorker(engine, seat, self._engine, self._sessions)

    def recall(self, future: Any) -> None:
        """See ``RemoteBackend``."""
        if not any(worker.shard.future is future for worker in self._engine.workers.values()):
            super().recall(future)

    def _windows(self) -> Iterable[InFlightWindow]:
        for worker in list(self._engine.workers.values()):
            if isinstance(worker, AsyncRemoteWorker) and (window := worker.host.window) is not None:
                yield window

    # -- ``AsyncResourceMaker`` -----------------------------------------------------------------------------------

    async def make(self, name: str, worker: WorkerInfo | None = None) -> AsyncResourceHandle:
        """See ``AsyncResourceMaker``."""
        remote = AsyncRemoteResource(self._engine, self._sessions, name, lambda: self._lost(handle))
        handle = AsyncResourceHandle(None, None, remote.close)
        handle.remote = remote
        await remote.open()
        return handle

    def _lost(self, handle: AsyncResourceHandle) -> None:
        if self._engine.pool.lost(handle):
            self._engine.report(PoolResourceLost())

    async def end(self, handle: AsyncResourceHandle) -> None:
        """See ``AsyncResourceMaker``."""
        assert handle.end is not None
        await handle.end()


class AsyncRemoteResource(InlineSession):
    """A session with a resource of ``run_task``'s, driven by the tasks of the callers."""

    def __init__(
        self, engine: LoopBackendEngine, sessions: Sessions[Any], name: str, on_lost: Callable[[], object]
    ) -> None:
        super().__init__(engine, name, sessions.options)
        self._engine = engine
        self._on_lost = on_lost
        self._opened = AsyncSession(engine, sessions, name, self._gone)

    async def open(self) -> None:
        """Opens the session and waits for its resource; raises what the user's function raises."""
        try:
            await self._opened.open()
            self.session: Session | None = self._opened.session
            self.made()
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self._opened.give_up()  # Ctrl-C may have struck behind the end of its opening
            self._root.raise_if_cancelled()  # a kill has interrupted it
            raise

    def _gone(self) -> None:
        self.broken = self._opened.dead = True
        self._on_lost()

    async def outcome_of(
        self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> tuple[bool, Any, asyncio.CancelledError | None]:
        """See ``AsyncResourceElsewhere``."""
        session = self.session
        assert session is not None and isinstance(context, RemoteContext)
        inline = InlineTask(task, args)
        try:
            refusal = self._send(session, context, inline)
        except BaseException:  # it may run all the same, and the next caller must not get its outcome
            self.broken = True
            raise
        if refusal is not None:
            raise refusal
        waiting = start_task(self._engine.loop, self._await_outcome(session), f"{self._opened.name}-outcome")
        struck = await outlast(
            waiting, lambda error: context.cancel(TaskCancelled(f"the caller of {inline.label} was cancelled"))
        )
        self._ended(session)
        try:
            return False, await self._value(context, inline, waiting), struck
        except BaseException as error:
            if struck is not None and waiting.exception() is None and waiting.result()[0] == SKIPPED:
                return False, None, struck  # it has not begun, so it says nothing of the resource
            return True, _interrupted(error, context), struck

    async def check(self) -> str | None:
        """See ``AsyncResourceElsewhere``."""
        session, reader = self.session, self._opened.reader
        assert session is not None and reader is not None
        try:
            session.check()
            while True:
                if (answer := checked(await reader.events(), self._note)) is not None:
                    why: str | None = answer[1]
                    return why
        except EOFError:
            self.broken = True
            return f"was asked of a process that is gone: {await self._opened.death()}"
        except BaseException:
            self.broken = True
            raise

    async def _value(self, context: Context, inline: InlineTask, ended: asyncio.Task[SessionEvent]) -> Any:
        """Returns the result of a task, or raises its error."""
        try:
            event = ended.result()
        except EOFError:
            self.broken: bool = True
            lost = await self._opened.death()
            context.raise_if_cancelled()
            raise lost from None
        except BaseException:  # no memory, say
            self.broken = True
            raise
        return self._result(context, inline, event)

    async def _await_outcome(self, session: Session) -> SessionEvent:
        reader = self._opened.reader
        assert reader is not None
        while True:
            event = self._outcome_in(session, await reader.events())
            if event is not None:
                return event

    async def close(self) -> None:
        """Destroys the resource and ends the session."""
        if destruction(self._opened.unhandled()) is not None:  # it was terminated while it was idle
            self.destroyed = True
        self._opened.destroyed = self._opened.destroyed or self.destroyed
        if self.broken and not self._opened.dead:
            self._opened.kill()
        await self._opened.close()


def _interrupted(error: BaseException, context: Context) -> BaseException:
    """Returns the error that the caller gets: ``TaskKilled`` or ``TaskTimeout`` in place of the ``CancelledError`` of a kill or a
    limit."""
    cause: Any = context.cause  # by its type, below: ``isinstance`` asks the ``__class__`` of a user's error
    if not issubclass(type(error), asyncio.CancelledError) or not issubclass(type(cause), TaskKilled | TaskTimeout):
        return error
    instead: BaseException = cause if issubclass(type(cause), TaskTimeout) else TaskKilled(str(cause))
    instead.__cause__ = error
    return instead
