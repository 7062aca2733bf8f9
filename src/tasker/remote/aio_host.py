"""The host of the asyncio engine whose resource lives in a session, and the worker that drives it. All of it runs in the
loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from tasker.aio.loop_end import outlasting_loop_end
from tasker.aio.parking import obey_order
from tasker.aio.ports import EngineForWorkers
from tasker.aio.queue import AsyncTaskQueue
from tasker.aio.worker import AsyncWorker
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.errors import TaskKilled, WorkerLost
from tasker.worker_info import WorkerInfo

from .aio_session import AsyncSession
from .aio_window import AsyncWindow
from .async_reader import AsyncReader
from .places import where_in
from .ports import LoopBackendEngine
from .session import Session, Sessions


class AsyncRemoteHost:
    """What ``RemoteHost`` is for threads. Driven by the task of its worker."""

    def __init__(self, worker: AsyncWorker, engine: LoopBackendEngine, sessions: Sessions[Any], name: str) -> None:
        self._worker = worker
        self._engine = engine
        self._queue: AsyncTaskQueue = engine.queue
        self._interval = engine.config.check_interval
        self._options = sessions.options
        self._suspects = sessions.suspects
        self._session = AsyncSession(engine, sessions, name, self._wake)
        self.window: AsyncWindow | None = None
        """While it serves."""
        self._idle: asyncio.Future[None] | None = None

    async def create(self, worker: WorkerInfo) -> None:
        """Makes the resource; raises what the user's function raises."""
        await self._session.open(worker)
        assert self._session.session is not None
        self._worker.shard.elsewhere = self._session.session.progress

    async def serve(self) -> ev.Event:
        """Runs tasks until the worker is to end. Returns what is to be reported after ``destroy``."""
        worker, engine, queue = self._worker, self._engine, self._queue
        session, reader = self._session.session, self._session.reader
        assert session is not None and reader is not None
        self.window = window = AsyncWindow(worker, engine, session, reader, self._options, self._suspects)
        window.destroyed = self._session.destroyed
        try:
            worker._begin_serving()
            while True:  # docs/decisions/0043
                if not await self._fill(window, reader):
                    break
                try:
                    await window.receive()
                except asyncio.CancelledError:
                    await worker._absorb()
        except EOFError:
            return await self._after_exit(window)
        except BaseException as error:  # no memory, or a fault of ours
            self._session.kill()
            if engine.torn_down:
                raise
            engine.log.fault(f"worker {worker.name}", error)
            queue.pass_on()
            return await self._after_exit(window, error)
        finally:
            self.window = None
            worker.forget_call()
            self._session.destroyed = window.destroyed
        return ev.WorkerEnded(worker.seat)

    @property
    def session(self) -> Session | None:
        """The session, once it is open."""
        return self._session.session

    async def destroy(self) -> None:
        """Ends the resource and its session. Raises nothing of the user's."""
        await self._session.close()

    def show(self, tell: Callable[[str], object]) -> None:
        """See ``WorkerPort``."""
        self._session.show(tell)

    def kill(self) -> None:
        """Ends whatever runs here by force."""
        self._session.kill()

    # -- tasks ----------------------------------------------------------------------------------------------------

    async def _fill(self, window: AsyncWindow, reader: AsyncReader) -> bool:
        """Sends as many tasks as should be in flight. False: this worker is to end."""
        queue, worker = self._queue, self._worker
        if self._spent(window) or worker.cools_until or self._engine.barred:
            window.take_back()
            if window.in_hand:
                return True
            if self._spent(window):
                window.report_spent(worker.seat)
                return False
            if not await self._cool_down(reader):
                return False
        wanted = self._room(window)
        if not wanted:
            return True
        if not window.in_hand:
            if not await self._until_task(window, reader):
                return False
            # By now: then this task is for another worker, or for later, if a pause has begun meanwhile.
            if self._spent(window) or not await self._is_fit(window) or worker.ordered:
                queue.wake()
                return True
        window.taken = queue.take_some(wanted)
        if window.taken:
            window.send()
        return True

    def _room(self, window: AsyncWindow) -> int:
        """Returns how many tasks are to be sent now; none before an order is obeyed."""
        ordered = self._queue.orders and self._worker.ordered and window.in_hand
        return 0 if ordered else window.room()

    async def _is_fit(self, window: AsyncWindow) -> bool:
        """Has the resource checked, if it has been idle for too long."""
        if not window.recycle_limits.idle_too_long(wanted=len(self._queue) > 0):
            return True
        fit = await self._worker.probe(window.probe())
        window.unhealthy = not fit  # which the supervisor knows
        window.recycle_limits.note_use()
        return fit

    def _spent(self, window: AsyncWindow) -> bool:
        """Returns whether its session gets no more tasks."""
        return window.spent() or self._worker.outdated

    async def _cool_down(self, reader: AsyncReader) -> bool:
        """Waits until the resource may be used again. False: this worker is to end."""
        serves_on = await self._worker.cool_down(reader.at_end)
        if serves_on and reader.at_end():
            raise EOFError
        return serves_on

    async def _until_task(self, window: AsyncWindow, reader: AsyncReader) -> bool:
        """Waits for a task. False: this worker is to retire."""
        queue = self._queue
        while self._worker.ordered or not len(queue):
            if not self._worker.ordered:
                await self._wait_idle(window, reader)
                if not await self._is_fit(window):
                    return False
            elif not await obey_order(self._worker, gone=reader.at_end):
                return False
            elif reader.at_end():
                raise EOFError
        return True

    async def _wait_idle(self, window: AsyncWindow, reader: AsyncReader) -> None:
        """Waits until there may be a task; ``EOFError`` if the session dies meanwhile."""
        worker, queue = self._worker, self._queue
        window.check_drained()
        worker.shard.flush()
        if reader.at_end():
            raise EOFError
        self._idle = worker.idle = waiter = self._engine.loop.create_future()
        queue.idle.append(waiter)
        timer = queue.wake_after(waiter, self._interval)
        try:
            await waiter
        except asyncio.CancelledError:
            await worker._absorb()
        finally:
            self._idle = worker.idle = None
            timer()
            queue.forget(waiter)
        if reader.at_end():
            queue.pass_on()
            raise EOFError

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        self._queue.lot.leave(self._worker)
        self._queue.cooling.wake()
        self._queue.leave_hold(self._worker)

    async def _after_exit(self, window: AsyncWindow, fault: BaseException | None = None) -> ev.Event:
        """Sees to the tasks of a session that has ended without having been asked to, or was ended after a fault of this
        process."""
        engine, seat, session = self._engine, self._worker.seat, self._session.session
        assert session is not None
        lost = await self._session.death()
        if fault is not None:
            window.find_loose()
            await window.deliver_rest(fault)  # first, since only what has begun and reported nothing is lost
            lost = window.lost_by(fault)
        begun = session.begun_at_death()
        window.handle_last(self._session.unhandled())
        ended = window.destroyed and fault is None
        event = ev.WorkerEnded(seat) if ended else ev.WorkerDied(seat, str(lost))
        if not ended:
            engine.report(event)  # before the tasks, so that a replacement is made at once
        window.give_back_loose()
        window.give_back_all(suspect=not begun and fault is None and not window.destroyed)
        failed = [await self._lose(window, number, future, lost) for number, future, _ in begun]
        if ended and not any(failed):  # else the supervisor knows by the failed attempt that this worker ends
            engine.report(ev.WorkerWorn(seat))
        return event

    async def _lose(self, window: AsyncWindow, number: int, future: Any, lost: WorkerLost) -> bool:
        """Sees to a task in which the session died. True if its attempt has failed, about which the supervisor decides."""
        worker = self._worker
        error = window.cut_off(number, future)
        if error is None:
            future._finished_at = monotonic()
            worker._send_back(future, lost)
        else:
            await worker.failed(future, error)
        worker.shard.future = None
        return error is None


class AsyncRemoteWorker(AsyncWorker):
    """A worker whose resource lives in a session: the life of an ``AsyncWorker``, carried out by its host."""

    def __init__(
        self, engine: EngineForWorkers, seat: ev.Seat, backend_engine: LoopBackendEngine, sessions: Sessions[Any]
    ) -> None:
        # First, because the worker's task may run its first step in there.
        self.host: AsyncRemoteHost = AsyncRemoteHost(
            self, backend_engine, sessions, f"{engine.config.name}-{seat.slot}"
        )
        super().__init__(engine, seat)

    async def _live(self) -> None:
        engine, host = self.engine, self.host
        try:
            if engine.killed:
                raise TaskKilled(engine.refusal)
            await host.create(self.root.info)
        except BaseException as error:
            if engine.torn_down:
                host.kill()
                raise
            engine.creation_failed(self.seat, error)
            return
        last: ev.Event = ev.WorkerEnded(self.seat)
        if self.surplus:
            engine.report(ev.WorkerDropped(self.seat))
        else:
            last = await host.serve()
        await self._destroy()
        engine.report(last)

    async def _destroy(self) -> None:
        """See ``WorkerLife``."""
        if self.state is WorkerState.ENDING:
            return
        self.state = WorkerState.ENDING
        self.engine.queue.pass_on()
        await self._absorb()
        await outlasting_loop_end(self.host.destroy(), self.engine)

    @property
    def quiet(self) -> bool:
        """See ``AsyncWorker``."""
        window = self.host.window
        return super().quiet and (window is None or not window.in_hand)

    def where(self, patience: float = 0.0) -> str:
        """See ``AsyncWorker``."""
        return where_in(self.host.session, patience)

    def show(self, tell: Callable[[str], object]) -> None:
        """See ``WorkerPort``."""
        self.host.show(tell)

    def _end_callback(self) -> None:
        """See ``AsyncWorker``."""
        self.host.kill()

    def cut_off(self) -> bool:
        """See ``AsyncWorker``."""
        self.host.kill()
        return not self.judging  # in this loop

    def ahead(self) -> Sequence[Any]:
        """See ``WorkerPort``."""
        window = self.host.window
        return () if window is None else window.ahead()
