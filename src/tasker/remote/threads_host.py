"""The host whose resource lives in a session, driven by the thread of its worker.

The thread waits for tasks while none is in flight, and for events while there are. Of what it takes from the queue nothing is
lost: a task that has ended there has its outcome; one that has begun when the session dies failed with ``WorkerLost``, and is
retried if it may be; one that has not begun goes back to its place.

For a session that dies while its worker waits for tasks, see ``targeted_wakeup``.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.core.probing import interval_of
from tasker.core.stacks import stack_of_thread
from tasker.core.worker_reports import PATIENCE
from tasker.errors import WorkerLost
from tasker.threads.future import TaskFuture
from tasker.threads.host import HostDied
from tasker.threads.parking import stay
from tasker.threads.ports import HostedWorker
from tasker.threads.queue import HOLD, PARK, TaskQueue

from .events import destruction, made
from .places import where_in
from .ports import ThreadsBackendEngine
from .session import InFlightTask, Session, Sessions, death_of
from .targeted_wakeup import Called, TargetedWakeup
from .threads_window import ThreadsWindow


class RemoteHost:
    """See the module's docstring. Implements ``Host``."""

    def __init__(
        self, worker: HostedWorker, engine: ThreadsBackendEngine, sessions: Sessions[Any], wakeup: TargetedWakeup
    ) -> None:
        self._worker = worker
        self._engine = engine
        self._sessions = sessions
        self._wakeup = wakeup
        self._queue: TaskQueue = engine.queue
        self._interval: float | None = None
        """Seconds between two checks of the resource while no task comes."""
        self._session: Session | None = None
        self.window: ThreadsWindow | None = None
        """While it serves."""
        self._order: object = None
        """The ``RETIRE``, ``PARK`` or ``HOLD`` that it has taken while tasks are in flight."""
        self._begun: list[InFlightTask] = []
        """What had begun when the session died, until it is seen to."""
        self._dead = False
        self._destroyed = False
        self._killed = False
        self._left = False
        """Whether the session was asked to destroy its resource."""
        self._error: BaseException | None = None
        """What that raised, until it is logged."""
        self._counted = False
        """Whether the end of the resource is in the ledger."""

    def called(self) -> bool:
        """See ``Member``."""
        return self._session_dead() or self._worker.outdated

    def _session_dead(self) -> bool:
        session = self._session
        return session is not None and session.dead

    # -- Host -----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """See ``Host``."""
        begun = monotonic()
        # The session's end is reported in another thread. If this worker waits for tasks then, it has to be woken.
        self._session = session = self._sessions.open(self._worker.name, self._wake, self._worker.root.info)
        self._worker.shard.elsewhere = session.progress
        # ``kill`` sets the one and then looks at the other; here it is the other way round.
        if self._killed:
            session.kill()
        try:
            self._destroyed = await_resource(session)
        except BaseException:
            self._sessions.close(session)
            raise
        self._engine.counters.resource(created=1)
        self._engine.counters.creation_times.add(monotonic() - begun)

    def serve(self) -> None:
        """See ``Host``."""
        session = self._session
        assert session is not None
        self._interval = interval_of(self._engine.config)
        self.window = window = ThreadsWindow(
            self._worker, self._engine, session, self._sessions.options, self._sessions.suspects
        )
        window.destroyed = self._destroyed
        try:
            try:
                self._worker.engine.hold.enter(self._worker, self.called)
                while True:  # docs/decisions/0043
                    if not self._fill(window):
                        break
                    window.receive()
            except EOFError:
                self._after_exit(session, window)
        except HostDied:
            raise
        except BaseException as fault:  # no memory, or a fault of ours; or an asynchronous exception
            session.kill()
            self._order = None  # the supervisor has it from ``WorkerDied.may_have_retired``
            self._after_exit(session, window, fault)
            raise
        finally:
            self.window = None
            self._wakeup.forget(self)
            if self._order is not None:  # the session ended for another reason, so the order is for another worker
                self._engine.soon(partial(self._queue.orders_first, self._order, 1))
            self._destroyed = window.destroyed

    def destroy(self) -> None:
        """See ``Host``."""
        session = self._session
        if session is None:
            return
        try:
            self._end(session)
        except BaseException as fault:  # an asynchronous exception: it goes on, for the sake of the books
            self._engine.log.fault(f"the end of worker {self._worker.name}", fault)
            self._end(session)

    def _end(self, session: Session) -> None:
        """Ends the session. Goes on where it was interrupted."""
        engine = self._engine
        # Not where it was interrupted and has destroyed its resource already, just before this worker retired.
        if not self._dead and not self._destroyed and not self._left:
            self._left = True
            self._error, self._destroyed = leave_and_wait(session)
        fault = self._sessions.end(session)
        if not self._counted:
            self._counted = True
            engine.counters.resource(**{"destroyed" if self._destroyed else "lost": 1})
        error, self._error = self._error, None
        if error is not None:
            engine.log.fault("on_destroy", error)
        if fault is not None:
            engine.log.fault("the end of a session", fault)

    def where(self, thread: int | None, patience: float = 0.0) -> str:
        """See ``Host``."""
        # Once its session is gone, the thread of the worker is what may hang.
        return (stack_of_thread(thread) if self._session_dead() else "") or where_in(self._session, patience)

    def show(self, thread: int | None, tell: Callable[[str], object]) -> None:
        """See ``Host``."""
        session = self._session

        def ask() -> None:
            tell(where_in(session, PATIENCE))

        try:
            self._engine.help(ask, "stack", "a logger")
        except (RuntimeError, MemoryError):  # no more threads
            tell(where_in(session))

    def call(self) -> None:
        """See ``Host``."""
        self._worker.outdated = True
        self._wake()

    def ahead(self) -> Sequence[TaskFuture[Any]]:
        """See ``Host``."""
        window = self.window
        return () if window is None else window.ahead()

    def kill(self) -> bool:
        """See ``Host``."""
        self._killed = True
        session = self._session
        if session is not None:
            session.kill()
        return True

    def _wake(self) -> None:
        """In the thread that has noticed the end of the session, or that calls this worker."""
        self._wakeup.wake(self)
        self._queue.lot.leave(self._worker)
        self._queue.cooling.wake()
        self._worker.engine.hold.look()

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _fill(self, window: ThreadsWindow) -> bool:
        """Sends as many tasks as should be in flight. False: this worker is to end."""
        if self._engine.door is Door.FORKED:
            return False
        # Not where it is unhealthy: then the supervisor knows by the failed attempt that this worker ends, and another
        # one has to retire.
        if self._order is not None and not window.in_hand and not window.unhealthy:
            order, self._order = self._order, None
            if not self._obey(order):
                return False
        spent, cools = self._spent(window), self._worker.cools_until > 0.0
        if spent or cools or self._engine.barred:
            window.take_back()
            if window.in_hand:
                return True
            if spent:
                window.report_spent(self._worker.seat)
                return False
            if cools:
                return self._order is not None or self._cool_down()
        wanted = window.room() if self._order is None else 0
        self._take(window, wanted)
        if window.taken:
            window.send()
        return True

    def _obey(self, order: object) -> bool:
        """Returns False if this worker has to retire; otherwise, once it has to serve again."""
        if order is PARK:
            stay(self._worker, gone=self.called)
        elif order is HOLD:
            self._worker.engine.hold.stay(self._worker, self.called)
        else:
            self._engine.report(ev.WorkerRetiring(self._worker.seat))
            return False
        return True

    def _spent(self, window: ThreadsWindow) -> bool:
        """Returns whether its session gets no more tasks."""
        return window.spent() or self._worker.outdated

    def _cool_down(self) -> bool:
        """Waits until the resource may be used again. False: this worker is to end."""
        serves_on = self._worker.cool_down(self._session_dead)
        if serves_on and self._session_dead():
            raise EOFError
        return serves_on

    def _take(self, window: ThreadsWindow, wanted: int) -> None:
        """Takes as many tasks at most; waits for the first if none is in flight."""
        taken: list[tuple[TaskFuture[Any], int]] = []
        window.taken = taken
        if wanted and not window.in_hand:
            try:
                token = self._wakeup.next_token(self, self._interval)
            except queue.Empty:  # for a while, no task has come
                self._is_fit(window)
                return
            except Called:
                if self._session_dead():
                    raise EOFError from None
                return
            if token is not None:
                self._order = token
                return
            if not self._may_use(window):
                return
            self._queue.take_for_token(taken)
        if wanted > len(taken):
            self._order = self._queue.take_some(wanted, taken)

    def _may_use(self, window: ThreadsWindow) -> bool:
        """Returns whether the resource may be used for the task whose token the worker has taken; if not, the token is back in the
        queue."""
        idle = window.recycle_limits.idle_too_long()
        if idle and not self._spent(window) and not self._is_fit(window):
            return False
        # Too old by now; or a pause has begun during the check, so this worker has a HOLD to take first.
        if self._spent(window) or (idle and self._engine.door is Door.PAUSED):
            self._queue.tokens.put(None)
            return False
        return True

    def _is_fit(self, window: ThreadsWindow) -> bool:
        """Has the resource checked. The worker may hold the token of a task."""
        fit = False
        try:
            fit = self._worker.probe(window.probe)
        finally:
            if not fit:
                window.unhealthy = True  # which the supervisor knows
                # For another worker; the task is in the queue. Without one, this is a token too many, which does no harm.
                self._queue.tokens.put(None)
        window.recycle_limits.note_use()
        return fit

    def _after_exit(self, session: Session, window: ThreadsWindow, fault: BaseException | None = None) -> None:
        """Sees to the tasks of a session that has ended without having been asked to, or was ended after a fault of this
        process. Raises ``HostDied``, unless it has destroyed its resource or there was a fault."""
        engine, seat = self._engine, self._worker.seat
        self._dead = True
        lost = death_of(session)
        if fault is not None:
            window.find_loose()
            window.deliver_rest(fault)  # first, since only what has begun and reported nothing is lost
            lost = window.lost_by(fault)
        self._begun += session.begun_at_death()
        begun = self._begun
        window.handle_last(session.last_events())
        # Before the tasks, so that a replacement is made at once. Not after a fault: the worker has yet to look what of
        # its books is left to complete, and the replacement goes on with these books.
        if fault is None and not window.destroyed:
            engine.report(ev.WorkerDied(seat, str(lost)))
        window.give_back_loose()
        window.give_back_all(suspect=not begun and fault is None and not window.destroyed)
        failed = [self._lose(window, number, future, lost) for number, future, _ in begun]
        begun.clear()
        if fault is not None:
            return
        if not window.destroyed:
            raise HostDied(str(lost))
        if not any(failed):  # else the supervisor knows by the failed attempt that this worker ends
            engine.report(ev.WorkerWorn(seat))

    def _lose(self, window: ThreadsWindow, number: int, future: TaskFuture[Any], lost: WorkerLost) -> bool:
        """Sees to a task in which the session died. True if its attempt has failed, about which the supervisor decides."""
        worker = self._worker
        error = window.cut_off(number, future)
        if error is None:
            future._finished_at = monotonic()
            worker.send_back(future, lost)
        else:
            worker.failed(future, error)
        worker.shard.future = None
        return error is None


def await_resource(session: Session) -> bool:
    """Waits until a session has its resource; raises what its creation raised. Returns whether it has destroyed it by then: it was
    terminated meanwhile."""
    while True:
        session.wait()
        try:
            events = session.events()
        except EOFError:
            raise death_of(session) from None
        if made(events):
            return destruction(events) is not None


def leave_and_wait(session: Session) -> tuple[BaseException | None, bool]:
    """Has a session destroy its resource. Returns what that raised, and whether the resource was destroyed."""
    try:
        session.leave()
        while True:
            session.wait()
            event = destruction(session.events())
            if event is not None:
                return event[1], True
    except EOFError:
        return death_of(session), False
    except BaseException as fault:  # no memory, say: the worker has to end all the same
        session.kill()
        return fault, False
