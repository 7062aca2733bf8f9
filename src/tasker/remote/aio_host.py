"""The worker of the asyncio engine whose resource lives in a child process.

All of it runs in the loop; what would block it (a birth, the wait for an exit) goes to a thread that ends with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from tasker.aio.own_thread import OwnThread
from tasker.aio.worker import AsyncWorker
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost
from tasker.logs import describe
from tasker.process.parent.connection import Connection
from tasker.process.protocol.errors import unpack_error
from tasker.process.protocol.messages import GONE, READY, UNMADE, Answer
from tasker.process.sessions import ProcessSessions

from .aio_window import AsyncWindow
from .async_reader import AsyncReader

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine


class AsyncSession:
    """A child in an event loop, from its birth to its end."""

    def __init__(self, engine: AsyncEngine, house: ProcessSessions, name: str) -> None:
        self._engine = engine
        self._house = house
        self.name: str = name
        self.session: Connection | None = None
        self.reader: AsyncReader | None = None
        self.dead: bool = False
        """Whether it has ended without having been told to."""
        self.destroyed: bool = False
        self.killed: bool = False
        self.on_end: Any = lambda: None

    async def open(self) -> None:
        """Has it born; raises what the user's function raises."""
        self.session = session = await self._beside(self._house.open, self.name, self._exited)
        self.reader = reader = AsyncReader(self._engine.loop, session, self._ended)
        if self.killed:
            session.kill()
        try:
            while True:
                for answer in await reader.answers():
                    if answer[0] == READY:
                        self._engine.counters.resource(created=1)
                        return
                    if answer[0] == UNMADE:
                        raise unpack_error(answer[1])
        except EOFError:
            lost = await self._beside(session.death)
            await self._shut()
            raise lost from None
        except BaseException:
            session.kill()
            await self._shut()
            raise

    async def close(self) -> None:
        """Has it destroy its resource and end. What ``on_destroy`` raises is logged and counted."""
        session, reader, engine = self.session, self.reader, self._engine
        if session is None or reader is None:
            return
        error: BaseException | None = None
        try:
            if not self.dead:
                session.leave()
                while not self.destroyed:
                    for answer in await reader.answers():
                        if answer[0] == GONE:
                            self.destroyed = True
                            error = None if answer[1] is None else unpack_error(answer[1])
        except EOFError:
            error = await self._beside(session.death)
        finally:
            await self._shut()
            engine.counters.resource(**{"destroyed" if self.destroyed else "lost": 1})
        if error is not None:
            engine.log.fault("on_destroy", error)

    async def death(self) -> WorkerLost:
        """How it died."""
        self.dead = True
        assert self.session is not None
        lost: WorkerLost = await self._beside(self.session.death)
        return lost

    def unheard(self) -> list[Answer]:
        """What it had said, and nobody has seen to."""
        return [] if self.reader is None else self.reader.take()

    def kill(self) -> None:
        """Ends it at once."""
        self.killed = True
        if self.session is not None:
            self.session.kill()

    def _exited(self, status: int) -> None:
        """In another thread. Most often the closed connection was noticed before."""
        try:
            self._engine.loop.call_soon_threadsafe(self._look)
        except RuntimeError:  # the loop is closed
            pass

    def _look(self) -> None:
        if self.reader is not None:
            self.reader.look()

    def _ended(self) -> None:
        self.on_end()

    async def _shut(self) -> None:
        if self.reader is not None:
            self.reader.close()
        if self.session is not None:
            await self._beside(self._house.close, self.session)

    async def _beside(self, fn: Any, *args: Any) -> Any:
        """In a thread, since it blocks."""
        thread = OwnThread(self._engine.loop, f"{self.name}-child")
        try:
            return await thread.call(contextvars.Context(), fn, *args)
        finally:
            await thread.close()


class AsyncRemoteWorker(AsyncWorker):
    """See the module's docstring."""

    def __init__(self, engine: AsyncEngine, seat: ev.Seat) -> None:
        assert engine.backend is not None
        self._house: ProcessSessions = engine.backend
        self._child = AsyncSession(engine, self._house, f"{engine.config.name}-{seat.slot}")
        self._child.on_end = self._wake
        self.window: AsyncWindow | None = None
        """While it serves."""
        self._parked: asyncio.Future[None] | None = None
        super().__init__(engine, seat)

    async def _run(self) -> None:
        engine, child = self.engine, self._child
        self._begun = True
        try:
            if engine.killed:
                raise TaskKilled(engine.refusal)
            await child.open()
        except BaseException as error:
            if engine.torn_down:
                child.kill()
                raise
            engine.creation_failed(self.seat, error)
            return
        self.state: WorkerState = WorkerState.READY
        engine.report(ev.WorkerReady(self.seat))
        last = await self._serve_child()
        self.state = WorkerState.ENDING
        await self._absorb()
        await child.close()
        engine.report(last)

    def cut_off(self) -> bool:
        """Ends whatever runs here by force."""
        self._child.kill()
        return True

    async def _serve_child(self) -> ev.Event:
        session, reader = self._child.session, self._child.reader
        assert session is not None and reader is not None
        self.window = window = AsyncWindow(self, session, reader, self._house.options)
        try:
            while await self._fill(window):
                try:
                    await window.receive()
                except asyncio.CancelledError:
                    await self._absorb()
        except EOFError:
            return await self._after_exit(window)
        except BaseException as error:  # no memory, or a fault of ours
            self._child.kill()
            if self.engine.torn_down:
                raise
            self.engine.log.fault(f"worker {self.name}", error)
            await self._after_exit(window, error)
            return ev.WorkerDied(self.seat, describe(error))
        finally:
            self.window = None
            self._child.destroyed = window.destroyed
        return ev.WorkerEnded(self.seat)

    async def _fill(self, window: AsyncWindow) -> bool:
        """Gives the child as many tasks as it should have. False: this worker is to end."""
        engine, queue = self.engine, self.engine.queue
        spent = window.spent()
        if spent or engine.killed:
            window.take_back()
            if window.in_hand:
                return True
            if spent:
                if not window.unhealthy:
                    engine.report(ev.WorkerWorn(self.seat))
                return False
        wanted = window.room()
        if not wanted or (queue.retiring and window.in_hand):
            return True
        if not window.in_hand:
            if not await self._until_task():
                return False
            if window.spent():  # too old by now
                queue.wake()
                return True
        taken = queue.take_some(wanted)
        if taken:
            window.send(taken)
        return True

    async def _until_task(self) -> bool:
        """Waits for a task. False: this worker is to retire."""
        queue = self.engine.queue
        while queue.retiring or not len(queue):
            if queue.retiring:
                queue.take_retirement()
                self.engine.report(ev.WorkerRetiring(self.seat))
                return False
            await self._wait_for_task()
        return True

    async def _wait_for_task(self) -> None:
        """Parks; ``EOFError`` if the child dies meanwhile."""
        engine, reader = self.engine, self._child.reader
        assert reader is not None
        if engine.draining:
            engine.check_drained()
        self.shard.flush()
        if reader.over():
            raise EOFError
        self._parked = waiter = engine.loop.create_future()
        engine.queue.parked.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            await self._absorb()
        finally:
            self._parked = None
            engine.queue.forget(waiter)
        if reader.over():
            if len(engine.queue):
                engine.queue.wake()  # what this one was woken for, perhaps
            raise EOFError

    def _wake(self) -> None:
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    async def _after_exit(self, window: AsyncWindow, fault: BaseException | None = None) -> ev.Event:
        """The child is gone without having been told to go."""
        engine, session = self.engine, self._child.session
        assert session is not None
        lost = await self._child.death()
        if fault is not None:
            lost = WorkerLost(f"worker {self.name} was lost: {describe(fault)}")
            lost.__cause__ = fault
        begun = session.begun_at_death()
        window.receive_last(self._child.unheard())
        ended = window.destroyed and fault is None
        event = ev.WorkerEnded(self.seat) if ended else ev.WorkerDied(self.seat, str(lost))
        if not ended:
            engine.report(event)  # first, so that a replacement is made at once
        rest = list(session.in_flight)
        session.in_flight.clear()
        window.give_back(rest, first=bool(rest) and rest[0][0] == session.begun)
        told = [await self._lose(window, number, future, lost) for number, future, _ in begun]
        if ended and not any(told):
            engine.report(ev.WorkerWorn(self.seat))
        return event

    async def _lose(self, window: AsyncWindow, number: int, future: Any, lost: WorkerLost) -> bool:
        """The child died in this task. True if it is left to the supervisor, which so hears of this worker's end."""
        cause = window.lost(number, future)
        if cause is None:
            self._send_back(future, lost)
        else:
            error = TaskKilled(str(cause)) if isinstance(cause, TaskKilled) else TaskCancelled(str(cause))
            error.__cause__ = cause
            self.engine.shutdown_counts.killed_tasks += isinstance(error, TaskKilled)
            await self.failed(future, error)
        self.shard.future = None
        return cause is None
