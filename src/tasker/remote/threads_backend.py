"""What a ``TaskManager`` has of its sessions: hosts for its workers, and the resources of ``run_task``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from operator import attrgetter
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.core.flag import Flag
from tasker.errors import TaskCancelled
from tasker.threads.ports import HostedWorker
from tasker.threads.queue import CHECK_SESSION
from tasker.threads.resources import ResourceHandle
from tasker.worker_info import WorkerInfo

from .backend import SessionsBackend
from .context import RemoteContext
from .errand import Errand, interruptible
from .events import SessionEvent, checked, destruction
from .inline import InlineSession, InlineTask
from .ports import ThreadsBackendEngine
from .registry import open_sessions
from .session import Session, Sessions, death_of
from .targeted_wakeup import TargetedWakeup
from .threads_host import RemoteHost, await_resource, leave_and_wait
from .window import InFlightWindow

_PATIENCE = 1.0
"""Seconds that a caller waits until what it has asked for was taken back."""


class ThreadsBackend(SessionsBackend):
    """See the module's docstring."""

    def __init__(self, engine: ThreadsBackendEngine) -> None:
        args_of = attrgetter("_args")
        super().__init__(open_sessions(engine.config, engine.log, asynchronous=False, args_of=args_of), engine.log)
        self._engine = engine
        self._wakeup = TargetedWakeup(engine.queue.tokens, CHECK_SESSION)
        self._numbers = count(1)

    def host(self, worker: HostedWorker) -> RemoteHost:
        """Makes the host of a worker."""
        return RemoteHost(worker, self._engine, self._sessions, self._wakeup)

    def finish_apart(self) -> None:
        """See ``RemoteBackend``."""
        try:
            self._engine.help(self.finish, "finish", "the output of its processes")
        except (RuntimeError, MemoryError):  # no more threads
            self.finish()

    def _windows(self) -> Iterable[InFlightWindow]:
        for worker in list(self._engine.workers.values()):
            host = worker.host
            if isinstance(host, RemoteHost) and (window := host.window) is not None:
                yield window

    def recall(self, future: Any) -> None:
        """See ``RemoteBackend``."""
        if any(window.name == future.worker for window in self._windows()):
            self._uninterrupted(partial(super().recall, future))

    def overtake(self, priority: int) -> None:
        """See ``RemoteBackend``."""
        if any(window.last_level() > priority for window in self._windows()):
            self._uninterrupted(partial(super().overtake, priority))

    def _uninterrupted(self, call: Callable[[], object]) -> None:
        """Has tasks taken back. In the main thread, Ctrl-C could strike when a task is neither in flight nor in the queue;
        so the supervisor's thread does it."""
        if not interruptible():
            call()
            return
        done = Flag()

        def call_there() -> None:
            try:
                call()
            finally:
                done.set()

        self._engine.soon(call_there)
        # Not without a limit, and not with a lock that the supervisor's thread may need: this may be a signal handler that
        # has interrupted whatever it was. A task that is taken back later is cancelled then, or overtaken.
        if not self._engine.counters.lock._is_owned():  # type: ignore[attr-defined]
            done.wait(_PATIENCE)

    # -- ``ResourceMaker`` ----------------------------------------------------------------------------------------

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """See ``ResourceMaker``."""
        remote = RemoteResource(self._engine, self._sessions, f"{self._engine.config.name}-pool-{next(self._numbers)}")
        if not interruptible():
            return self._make(remote)
        try:
            errand = Errand(partial(self._make, remote), self._undo)
            return errand.outcome(self._engine, "make", "on_create for run_task")
        except BaseException:
            remote.give_up()
            raise

    def _make(self, remote: RemoteResource) -> ResourceHandle:
        handle, begun = ResourceHandle(None, remote.end), monotonic()
        handle.remote = remote
        remote.open(lambda: self._lost(handle))
        self._engine.counters.resource(created=1)
        self._engine.counters.creation_times.add(monotonic() - begun)
        return handle

    def _undo(self, handle: ResourceHandle) -> None:
        """Ends a resource that its caller, who was interrupted, has not got."""
        try:
            self._engine.help(partial(self._end, handle), "end", "on_destroy for run_task")
        except (RuntimeError, MemoryError):  # no more threads
            self._end(handle)

    def _lost(self, handle: ResourceHandle) -> None:
        if self._engine.pool.lost(handle):
            self._engine.report(PoolResourceLost())

    def end(self, handle: ResourceHandle) -> None:
        """See ``ResourceMaker``. If it is interrupted, it goes on in another thread, or has not begun."""
        if interruptible():
            errand = Errand(partial(self._end, handle), lambda _: None)
            errand.outcome(self._engine, "end", "on_destroy for run_task")
        else:
            self._end(handle)

    def _end(self, handle: ResourceHandle) -> None:
        assert handle.end is not None
        handle.end()


class RemoteResource(InlineSession):
    """A session with a resource of ``run_task``'s, driven by the threads of the callers."""

    def __init__(self, engine: ThreadsBackendEngine, sessions: Sessions[Any], name: str) -> None:
        super().__init__(engine, name, sessions.options)
        self._engine = engine
        self._sessions = sessions
        self._given_up = False
        self._unended = [True]
        """Emptied by the thread that ends it: of several, one can."""

    def open(self, on_lost: Callable[[], object]) -> None:
        """Opens the session and waits for its resource; raises what the user's function raises."""

        def ended() -> None:
            self.broken = True
            on_lost()

        self.session = session = self._sessions.open(self.name, ended)
        try:
            # ``give_up`` sets the one and then looks at the other; here it is the other way round.
            if self._given_up:
                session.kill()
            self.destroyed: bool = await_resource(session)
        except BaseException:
            session.kill()
            self._sessions.close(session)
            self._root.raise_if_cancelled()  # a kill has interrupted it
            raise
        self.made()

    def give_up(self) -> None:
        """Ends the creation, for which nothing waits any more."""
        self._given_up = True
        if self.session is not None:
            self.session.kill()

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""
        session = self.session
        assert session is not None and isinstance(context, RemoteContext)
        inline = InlineTask(task, args)
        event: SessionEvent | None = None
        try:
            refusal = self._send(session, context, inline)
            if refusal is not None and isinstance(refusal.__cause__, KeyboardInterrupt) and interruptible():
                raise refusal.__cause__
            if refusal is None:
                # A kill cancels whatever runs in a session, which may not have begun this task yet.
                context.on_cancel(lambda: session.cancel(context.number, context.cause or TaskCancelled()))
                event = self._await_outcome(session, context)
                self._ended(session)
        except BaseException:
            # Ctrl-C, say: the task must not go on without its caller, and the next caller must not get its outcome.
            self.broken = True
            session.kill()
            raise
        if event is None:
            assert refusal is not None
            raise refusal
        return self._result(context, inline, event)

    def check(self) -> str | None:
        """See ``ResourceElsewhere``."""
        session = self.session
        assert session is not None
        try:
            session.check()
            while True:
                session.wait()
                if (answer := checked(session.events(), self._note)) is not None:
                    why: str | None = answer[1]
                    return why
        except EOFError:
            return f"was asked of a process that is gone: {death_of(session)}"
        except BaseException:  # as in ``run``
            self.broken: bool = True
            session.kill()
            raise

    def kill(self) -> None:
        """See ``ResourceElsewhere``."""
        session = self.session
        if session is not None:  # else it has ended
            self.broken = True
            session.kill()

    def _await_outcome(self, session: Session, context: Context) -> SessionEvent:
        while True:
            session.wait()
            try:
                event = self._outcome_in(session, session.events())
            except EOFError:
                lost = death_of(session)
                context.raise_if_cancelled()
                raise lost from None
            if event is not None:
                return event

    def end(self) -> None:
        """Destroys the resource and ends the session."""
        try:
            self._unended.pop()
        except IndexError:
            return
        session, self.session = self.session, None
        assert session is not None
        error = None
        if not self.broken and not self.destroyed:
            error, destroyed = leave_and_wait(session)
            self.destroyed = destroyed
        elif destruction(session.last_events()) is not None:  # it was terminated while it was idle
            self.destroyed = True
        try:
            fault = self._sessions.end(session)
        finally:
            self._engine.counters.resource(**{"destroyed" if self.destroyed else "lost": 1})
        if error is not None:
            self._engine.log.fault("on_destroy", error)
        if fault is not None:
            self._engine.log.fault("the end of a session", fault)
