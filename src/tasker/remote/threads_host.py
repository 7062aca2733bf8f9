"""The host whose resource lives in a child process, driven by the thread of its worker.

The thread waits for tasks while the child has none, and for the child while it has. Of what it takes from the queue nothing
is lost: what was answered has its outcome; what has begun when the child dies failed with ``WorkerLost``, and is retried if
it may be; what has not begun goes back to where it was.

A child that dies while its worker waits for tasks: see ``rollcall``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasker.control import events as ev
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost
from tasker.process.parent.connection import Connection
from tasker.process.protocol.errors import unpack_error
from tasker.process.protocol.messages import GONE, READY, UNMADE
from tasker.threads.future import TaskFuture
from tasker.threads.host import HostDied
from tasker.threads.queue import RETIRE

from .threads_window import ThreadsWindow

if TYPE_CHECKING:
    from tasker.threads.worker import Worker

    from .threads_backend import ThreadsBackend


class RemoteHost:
    """See the module's docstring."""

    def __init__(self, worker: Worker, shared: ThreadsBackend) -> None:
        self._worker = worker
        self._engine = worker.engine
        self._shared = shared
        self._queue = worker.engine.queue
        self._session: Connection | None = None
        self.window: ThreadsWindow | None = None
        """While it serves."""
        self._retiring = False
        self._dead = False
        self._destroyed = False
        self._killed = False

    @property
    def name(self) -> str:
        """The worker's."""
        return self._worker.name

    def session_dead(self) -> bool:
        """Whether the child is gone while this worker lives."""
        session = self._session
        return session is not None and session.dead

    # -- Host -----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """See ``Host``."""
        # The status comes in another thread. If this worker waits for tasks then, it has to be told.
        self._session = session = self._shared.open(
            self._worker.name, lambda status: self._shared.targeted_wakeup.call(self)
        )
        if self._killed:
            session.kill()
        try:
            created(session)
        except BaseException:
            self._shared.close(session)
            raise
        self._engine.counters.resource(created=1)

    def serve(self) -> None:
        """See ``Host``."""
        session = self._session
        assert session is not None
        self.window = window = ThreadsWindow(self._worker, session, self._shared.options)
        try:
            while self._fill(window):
                window.receive()
        except EOFError:
            self._after_exit(session, window)
        except BaseException:  # no memory, or a fault of ours: the task in hand is the worker's to see to
            session.kill()
            session.death()
            session.begun_at_death()
            self._dead = True
            rest = list(session.in_flight)
            window.give_back(rest, first=bool(rest) and rest[0][0] == session.begun)
            raise
        finally:
            self.window = None
            if self._retiring:  # somebody else has to, then
                self._queue.retire(1)
            self._destroyed = window.destroyed

    def destroy(self) -> None:
        """See ``Host``."""
        session, engine = self._session, self._engine
        if session is None:
            return
        error = None
        if not self._dead:
            error, self._destroyed = close_gracefully(session)
        self._shared.close(session)
        engine.counters.resource(**{"destroyed" if self._destroyed else "lost": 1})
        if error is not None:
            engine.log.fault("on_destroy", error)

    def kill(self) -> bool:
        """See ``Host``."""
        self._killed = True
        session = self._session
        if session is not None:
            session.kill()
        return True

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _fill(self, window: ThreadsWindow) -> bool:
        """Gives the child as many tasks as it should have. False: this worker is to end."""
        if self._retiring and not window.in_hand:
            self._retiring = False
            self._engine.report(ev.WorkerRetiring(self._worker.seat))
            return False
        spent = window.spent()
        if spent or self._engine.killed:
            window.take_back()
            if window.in_hand:
                return True
            if spent:
                if not window.unhealthy:
                    self._engine.report(ev.WorkerWorn(self._worker.seat))
                return False
        wanted = 0 if self._retiring else window.room()
        taken = self._take(window, wanted)
        if taken:
            window.send(taken)
        return True

    def _take(self, window: ThreadsWindow, wanted: int) -> list[tuple[TaskFuture[Any], int]]:
        """As many tasks as that at most; waits for the first if the child has none."""
        taken: list[tuple[TaskFuture[Any], int]] = []
        if wanted and not window.in_hand:
            token = self._shared.targeted_wakeup.next_token(self)
            self._retiring = token is RETIRE
            if self._retiring:
                return taken
            if window.spent():  # too old by now: this one is for another worker
                self._queue.tokens.put(token)
                return taken
            taken = self._queue.take_for_token()
        if wanted > len(taken):
            more, self._retiring = self._queue.take_some(wanted - len(taken))
            taken += more
        return taken

    def _after_exit(self, session: Connection, window: ThreadsWindow) -> None:
        """The child is gone without having been told to go. Raises ``HostDied``, unless it has destroyed its resource."""
        worker, engine = self._worker, self._engine
        self._dead = True
        begun = session.begun_at_death()
        lost = session.death()
        window.receive_last(session.last_answers())
        if not window.destroyed:
            engine.report(ev.WorkerDied(worker.seat, str(lost)))  # first, so that a replacement is made at once
        rest = list(session.in_flight)
        session.in_flight.clear()
        window.give_back(rest, first=bool(rest) and rest[0][0] == session.begun)
        told = [self._lose(window, number, future, lost) for number, future, _ in begun]
        if not window.destroyed:
            raise HostDied(str(lost))
        if not any(told):
            engine.report(ev.WorkerWorn(worker.seat))

    def _lose(self, window: ThreadsWindow, number: int, future: TaskFuture[Any], lost: WorkerLost) -> bool:
        """The child died in this task. True if it is left to the supervisor, which so hears of this worker's end."""
        worker = self._worker
        cause = window.lost(number, future)
        if cause is None:
            worker.send_back(future, lost)
        else:
            error = _cut_off(future, cause)
            self._engine.shutdown_counts.killed_tasks += isinstance(error, TaskKilled)
            worker.failed(future, error)
        worker.shard.future = None
        return cause is None


def _cut_off(future: TaskFuture[Any], cause: BaseException) -> TaskCancelled:
    kind = TaskKilled if isinstance(cause, TaskKilled) else TaskCancelled
    error = kind(f"{future.label} was cancelled, and its process ended because it did not heed that: {cause}")
    error.__cause__ = cause
    return error


def created(session: Connection) -> None:
    """Waits until the child has its resource; raises what its creation raised."""
    while True:
        session.wait()
        try:
            answers = session.answers()
        except EOFError:
            raise session.death() from None
        for answer in answers:
            if answer[0] == READY:
                return
            if answer[0] == UNMADE:
                raise unpack_error(answer[1])


def close_gracefully(session: Connection) -> tuple[BaseException | None, bool]:
    """Has the child destroy its resource: what that raised, and whether it was destroyed."""
    session.leave()
    while True:
        session.wait()
        try:
            answers = session.answers()
        except EOFError:
            return session.death(), False
        for answer in answers:
            if answer[0] == GONE:
                return (None if answer[1] is None else unpack_error(answer[1])), True
