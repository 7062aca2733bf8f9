"""The worker of the asyncio engine whose resource lives in a child process.

All of it runs in the loop; what would block it (a birth, the wait for an exit) goes to a thread that ends with it.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from tasker.aio.threads import OwnThread
from tasker.aio.workers import AsyncWorker
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost
from tasker.logs import describe

from .ear import Ear
from .errors import unpack_error
from .house import House
from .link import Link
from .loop_traffic import LoopTraffic
from .messages import GONE, READY, UNMADE, Answer

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine


class LoopChild:
    """A child in an event loop, from its birth to its end."""

    def __init__(self, engine: AsyncEngine, house: House, name: str) -> None:
        self._engine = engine
        self._house = house
        self.name: str = name
        self.link: Link | None = None
        self.ear: Ear | None = None
        self.dead: bool = False
        """Whether it has ended without having been told to."""
        self.destroyed: bool = False
        self.killed: bool = False
        self.on_end: Any = lambda: None

    async def open(self) -> None:
        """Has it born; raises what the user's function raises."""
        self.link = link = await self._beside(self._house.open, self.name, self._exited)
        self.ear = ear = Ear(self._engine.loop, link, self._ended)
        if self.killed:
            link.kill()
        try:
            while True:
                for answer in await ear.answers():
                    if answer[0] == READY:
                        self._engine.books.resource(created=1)
                        return
                    if answer[0] == UNMADE:
                        raise unpack_error(answer[1])
        except EOFError:
            lost = await self._beside(link.death)
            await self._shut()
            raise lost from None
        except BaseException:
            link.kill()
            await self._shut()
            raise

    async def close(self) -> None:
        """Has it destroy its resource and end. What ``on_destroy`` raises is logged and counted."""
        link, ear, engine = self.link, self.ear, self._engine
        if link is None or ear is None:
            return
        error: BaseException | None = None
        try:
            if not self.dead:
                link.leave()
                while not self.destroyed:
                    for answer in await ear.answers():
                        if answer[0] == GONE:
                            self.destroyed = True
                            error = None if answer[1] is None else unpack_error(answer[1])
        except EOFError:
            error = await self._beside(link.death)
        finally:
            await self._shut()
            engine.books.resource(**{"destroyed" if self.destroyed else "lost": 1})
        if error is not None:
            engine.log.fault("on_destroy", error)

    async def death(self) -> WorkerLost:
        """How it died."""
        self.dead = True
        assert self.link is not None
        lost: WorkerLost = await self._beside(self.link.death)
        return lost

    def unheard(self) -> list[Answer]:
        """What it had said, and nobody has seen to."""
        return [] if self.ear is None else self.ear.take()

    def kill(self) -> None:
        """Ends it at once."""
        self.killed = True
        if self.link is not None:
            self.link.kill()

    def _exited(self, status: int) -> None:
        """In another thread. Most often the closed connection was noticed before."""
        try:
            self._engine.loop.call_soon_threadsafe(self._look)
        except RuntimeError:  # the loop is closed
            pass

    def _look(self) -> None:
        if self.ear is not None:
            self.ear.look()

    def _ended(self) -> None:
        self.on_end()

    async def _shut(self) -> None:
        if self.ear is not None:
            self.ear.close()
        if self.link is not None:
            await self._beside(self._house.close, self.link)

    async def _beside(self, fn: Any, *args: Any) -> Any:
        """In a thread, since it blocks."""
        thread = OwnThread(self._engine.loop, f"{self.name}-child")
        try:
            return await thread.call(contextvars.Context(), fn, *args)
        finally:
            await thread.close()


class ProcessWorker(AsyncWorker):
    """See the module's docstring."""

    def __init__(self, engine: AsyncEngine, seat: ev.Seat) -> None:
        assert engine.away is not None
        self._house: House = engine.away
        self._child = LoopChild(engine, self._house, f"{engine.config.name}-{seat.slot}")
        self._child.on_end = self._wake
        self.traffic: LoopTraffic | None = None
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
        link, ear = self._child.link, self._child.ear
        assert link is not None and ear is not None
        self.traffic = traffic = LoopTraffic(self, link, ear, self._house.options)
        try:
            while await self._fill(traffic):
                try:
                    await traffic.hear()
                except asyncio.CancelledError:
                    await self._absorb()
        except EOFError:
            return await self._bury(traffic)
        except BaseException as error:  # no memory, or a fault of ours
            self._child.kill()
            if self.engine.torn_down:
                raise
            self.engine.log.fault(f"worker {self.name}", error)
            await self._bury(traffic, error)
            return ev.WorkerLost(self.seat, describe(error))
        finally:
            self.traffic = None
            self._child.destroyed = traffic.destroyed
        return ev.WorkerEnded(self.seat)

    async def _fill(self, traffic: LoopTraffic) -> bool:
        """Gives the child as many tasks as it should have. False: this worker is to end."""
        engine, queue = self.engine, self.engine.queue
        spent = traffic.spent()
        if spent or engine.killed:
            traffic.take_back()
            if traffic.in_hand:
                return True
            if spent:
                if not traffic.unhealthy:
                    engine.report(ev.WorkerWorn(self.seat))
                return False
        wanted = traffic.room()
        if not wanted or (queue.retiring and traffic.in_hand):
            return True
        if not traffic.in_hand:
            if not await self._until_task():
                return False
            if traffic.spent():  # too old by now
                queue.wake()
                return True
        taken = queue.take_some(wanted)
        if taken:
            traffic.send(taken)
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
        engine, ear = self.engine, self._child.ear
        assert ear is not None
        if engine.draining:
            engine.look_idle()
        self.shard.flush()
        if ear.over():
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
        if ear.over():
            if len(engine.queue):
                engine.queue.wake()  # what this one was woken for, perhaps
            raise EOFError

    def _wake(self) -> None:
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    async def _bury(self, traffic: LoopTraffic, fault: BaseException | None = None) -> ev.Event:
        """The child is gone without having been told to go."""
        engine, link = self.engine, self._child.link
        assert link is not None
        lost = await self._child.death()
        if fault is not None:
            lost = WorkerLost(f"worker {self.name} was lost: {describe(fault)}")
            lost.__cause__ = fault
        begun = link.begun_at_death()
        traffic.last_words(self._child.unheard())
        ended = traffic.destroyed and fault is None
        event = ev.WorkerEnded(self.seat) if ended else ev.WorkerLost(self.seat, str(lost))
        if not ended:
            engine.report(event)  # first, so that a replacement is made at once
        rest = list(link.flights)
        link.flights.clear()
        traffic.give_back(rest, first=bool(rest) and rest[0][0] == link.begun)
        told = [await self._lose(traffic, number, future, lost) for number, future, _ in begun]
        if ended and not any(told):
            engine.report(ev.WorkerWorn(self.seat))
        return event

    async def _lose(self, traffic: LoopTraffic, number: int, future: Any, lost: WorkerLost) -> bool:
        """The child died in this task. True if it is left to the supervisor, which so hears of this worker's end."""
        cause = traffic.lost(number, future)
        if cause is None:
            self._send_back(future, lost)
        else:
            error = TaskKilled(str(cause)) if isinstance(cause, TaskKilled) else TaskCancelled(str(cause))
            error.__cause__ = cause
            self.engine.toll.killed_tasks += isinstance(error, TaskKilled)
            await self.failed(future, error)
        self.shard.future = None
        return cause is None
