"""What a ``TaskManager`` has of its sessions: hosts for its workers, and the resources of ``run_task``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.errors import TaskCancelled
from tasker.threads.ports import HostedWorker
from tasker.threads.queue import CHECK_SESSION
from tasker.threads.resources import ResourceHandle
from tasker.worker_info import WorkerInfo

from .backend import SessionsBackend
from .context import RemoteContext
from .events import SessionEvent, destruction
from .inline import InlineSession, InlineTask
from .ports import BackendEngine
from .registry import open_sessions
from .session import Session, Sessions, death_of
from .targeted_wakeup import TargetedWakeup
from .threads_host import RemoteHost, await_resource, leave_and_wait
from .window import InFlightWindow


class ThreadsBackend(SessionsBackend):
    """See the module's docstring."""

    def __init__(self, engine: BackendEngine) -> None:
        args_of = attrgetter("_args")
        super().__init__(open_sessions(engine.config, engine.log, asynchronous=False, args_of=args_of), engine.log)
        self._engine = engine
        self._wakeup = TargetedWakeup(engine.queue.tokens, CHECK_SESSION)
        self._number = 0

    def host(self, worker: HostedWorker) -> RemoteHost:
        """Makes the host of a worker."""
        return RemoteHost(worker, self._engine, self._sessions, self._wakeup)

    def _windows(self) -> Iterable[InFlightWindow]:
        for worker in list(self._engine.workers.values()):
            host = worker.host
            if isinstance(host, RemoteHost) and (window := host.window) is not None:
                yield window

    # -- ``ResourceMaker`` ----------------------------------------------------------------------------------------

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """See ``ResourceMaker``."""
        self._number += 1
        remote = RemoteResource(self._engine, self._sessions, f"{self._engine.config.name}-pool-{self._number}")
        handle = ResourceHandle(None, remote.end)
        handle.remote = remote
        remote.open(lambda: self._lost(handle))
        self._engine.counters.resource(created=1)
        return handle

    def _lost(self, handle: ResourceHandle) -> None:
        if self._engine.pool.lost(handle):
            self._engine.report(PoolResourceLost())

    def end(self, handle: ResourceHandle) -> None:
        """See ``ResourceMaker``."""
        assert handle.end is not None
        handle.end()


class RemoteResource(InlineSession):
    """A session with a resource of ``run_task``'s, driven by the threads of the callers."""

    def __init__(self, engine: BackendEngine, sessions: Sessions[Any], name: str) -> None:
        super().__init__(engine, name, sessions.options)
        self._engine = engine
        self._sessions = sessions

    def open(self, on_lost: Callable[[], object]) -> None:
        """Opens the session and waits for its resource; raises what the user's function raises."""

        def ended() -> None:
            self.broken = True
            on_lost()

        self.session = session = self._sessions.open(self.name, ended)
        try:
            await_resource(session)
        except BaseException:
            session.kill()
            self._sessions.close(session)
            self._root.raise_if_cancelled()  # a kill has interrupted it
            raise
        self.made()

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""
        session = self.session
        assert session is not None and isinstance(context, RemoteContext)
        inline = InlineTask(task, args)
        event: SessionEvent | None = None
        try:
            refusal = self._send(session, context, inline)
            if refusal is None:
                # A kill cancels whatever runs in a session, which may not have begun this task yet.
                context.on_cancel(lambda: session.cancel(context.number, context.cause or TaskCancelled()))
                event = self._await_outcome(session, context)
        except BaseException:
            # Ctrl-C, say: the task must not go on without its caller, and the next caller must not get its outcome.
            self.broken = True
            session.kill()
            raise
        if event is None:
            assert refusal is not None
            raise refusal
        self._ended(session)
        return self._result(context, inline, event)

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
        session, self.session = self.session, None
        if session is None:
            return
        error = None
        if not self.broken:
            error, destroyed = leave_and_wait(session)
            self.destroyed: bool = destroyed
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
