"""AsyncSession: a session in an event loop, from its start to its end.

All of it runs in the loop; what would block it (the start of a session, the wait for its end) goes to a thread that ends with
it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from tasker.aio.cancellation import outlast, restore
from tasker.aio.own_thread import OwnThread
from tasker.aio.tasks import start_task
from tasker.core.worker_reports import PATIENCE
from tasker.errors import WorkerLost
from tasker.worker_info import WorkerInfo

from .async_reader import AsyncReader
from .events import SessionEvent, destruction, made
from .places import where_in
from .ports import LoopBackendEngine
from .session import Session, Sessions, death_of

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class AsyncSession:
    """A session in an event loop, from its start to its end. ``on_end`` is called in the loop once it is gone."""

    def __init__(
        self, engine: LoopBackendEngine, sessions: Sessions[Any], name: str, on_end: Callable[[], object]
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._on_end = on_end
        self.name: str = name
        self.session: Session | None = None
        self.reader: AsyncReader | None = None
        self.dead: bool = False
        """Whether it has ended without having been asked to."""
        self.destroyed: bool = False
        self._killed = False
        self._given_up = False
        self._counted = False
        self._showing: asyncio.Task[None] | None = None

    async def open(self, worker: WorkerInfo | None = None) -> None:
        """Opens it and waits for its resource, which is a worker's or ``run_task``'s; raises what the user's function
        raises."""
        begun = monotonic()
        try:
            session = await self._run_in_thread(self._start, worker)
            self.reader = reader = AsyncReader(self._engine.loop, session, self._on_end)
            if self._killed:
                session.kill()
            await self._await_resource(session, reader)
            with self._engine.counters.lock:
                # No call in between, as in ``Counters.resource``: where Ctrl-C strikes, it is known whether it is counted.
                self._engine.counters.ledger.created += 1
                self._counted = True
            self._engine.counters.creation_times.add(monotonic() - begun)
        except BaseException:
            await self.give_up()
            raise

    def _start(self, worker: WorkerInfo | None) -> Session:
        """Starts it, in another thread."""
        # Known before the loop's thread goes on, which Ctrl-C may strike before it has taken what this returns.
        session: Session = self._sessions.open(self.name, self._exited, worker)
        self.session = session
        # ``give_up`` sets the one and then looks at the other; here it is the other way round.
        if self._given_up:
            session.kill()
            self._sessions.end(session)
        return session

    async def give_up(self) -> None:
        """Ends what no caller gets: its opening has failed, or was interrupted."""
        self._given_up = True
        if self.session is None:
            return
        self.session.kill()
        try:
            await self._close()
        finally:
            if self._counted:
                self._counted = False
                self._engine.counters.resource(lost=1)

    async def _await_resource(self, session: Session, reader: AsyncReader) -> None:
        while True:
            try:
                events = await reader.events()
            except EOFError:
                raise await self._run_in_thread(death_of, session) from None
            if made(events):
                self.destroyed = destruction(events) is not None  # it was terminated meanwhile
                return

    async def close(self) -> None:
        """Has it destroy its resource and end. What ``on_destroy`` raises is logged and counted."""
        session, reader, engine = self.session, self.reader, self._engine
        if session is None or reader is None:
            return
        error: BaseException | None = None
        fault: BaseException | None = None
        try:
            if not self.dead:
                session.leave()
                while True:  # docs/decisions/0043
                    if self.destroyed:
                        break
                    event = destruction(await reader.events())
                    if event is not None:
                        self.destroyed, error = True, event[1]
        except EOFError:
            error = await self._run_in_thread(death_of, session)
        except Exception as raised:  # no memory, say: it is not known what it has reported
            session.kill()
            error = raised
        finally:
            try:
                fault = await self._close()
            finally:
                engine.counters.resource(**{"destroyed" if self.destroyed else "lost": 1})
        if error is not None:
            engine.log.fault("on_destroy", error)
        if fault is not None:
            engine.log.fault("the end of a session", fault)

    async def death(self) -> WorkerLost:
        """Returns how it died."""
        self.dead = True
        assert self.session is not None
        return await self._run_in_thread(death_of, self.session)

    def unhandled(self) -> list[SessionEvent]:
        """Returns what it had reported and nothing has handled."""
        return [] if self.reader is None else self.reader.take()

    def show(self, tell: Callable[[str], object]) -> None:
        """Calls ``tell`` with where it is, a moment later. Asked again meanwhile, it names its process at once."""
        session = self.session
        if session is None or (self._showing is not None and not self._showing.done()):
            tell(where_in(session))
        else:
            self._showing = start_task(self._engine.loop, self._show(session, tell), f"{self.name}-stack")

    async def _show(self, session: Session, tell: Callable[[str], object]) -> None:
        try:
            place = await self._run_in_thread(where_in, session, PATIENCE)
        except (RuntimeError, MemoryError):  # no more threads
            place = where_in(session)
        tell(place)

    def kill(self) -> None:
        """Ends it at once, even while it starts."""
        self._killed = True
        if self.session is not None:
            self.session.kill()

    def _exited(self) -> None:
        """In another thread. Most often the loop has noticed it before."""
        try:
            self._engine.loop.call_soon_threadsafe(self._check)
        except RuntimeError:  # the loop is closed
            pass

    def _check(self) -> None:
        if self.reader is not None:
            self.reader.check()

    async def _close(self) -> BaseException | None:
        # The reader first: it watches descriptors that the session closes.
        if self.reader is not None:
            self.reader.close()
        fault = None if self.session is None else await self._run_in_thread(self._sessions.end, self.session)
        if self._showing is not None and (struck := await outlast(self._showing)) is not None:
            restore(struck)
        return fault

    async def _run_in_thread(self, fn: Callable[..., T], *args: Any) -> T:
        thread = OwnThread(self._engine, f"{self.name}-session")
        try:
            value: T = await thread.call(contextvars.Context(), fn, *args)
        finally:
            await thread.close()
        return value
