"""What a ``TaskManager`` has of its children: hosts for its workers, and the resources of ``run_task``."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.errors import WorkerLost
from tasker.logs import task_name
from tasker.process.parent.connection import Connection
from tasker.process.protocol.errors import garbled, unpack_error
from tasker.process.protocol.messages import ERROR, GARBLED, GONE, LARGE, RESULT, SKIPPED
from tasker.process.protocol.orders import Inline, Orders
from tasker.process.sessions import ProcessSessions
from tasker.threads.future import TaskFuture
from tasker.threads.resources import ResourceHandle

from .context import RemoteContext
from .recycling import RecycleLimits
from .targeted_wakeup import TargetedWakeup
from .threads_host import RemoteHost, close_gracefully, created

if TYPE_CHECKING:
    from tasker.threads.engine import Engine
    from tasker.threads.worker import Worker


class ThreadsBackend(ProcessSessions):
    """See the module's docstring."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.config, engine.log, asynchronous=False)
        self._engine = engine
        self.targeted_wakeup: TargetedWakeup = TargetedWakeup(engine.queue)
        self._number = 0

    def host(self, worker: Worker) -> RemoteHost:
        """A host for a worker."""
        return RemoteHost(worker, self)

    def recall(self, future: TaskFuture[Any]) -> None:
        """See ``tasks.Owner``."""
        for host in self._hosts():
            if host.name == future.worker and host.window is not None:
                host.window.recall()

    def overtake(self, priority: int) -> None:
        """A task of that priority waits: whatever was sent ahead and is less urgent waits behind it."""
        for host in self._hosts():
            window = host.window
            if window is not None and window.lowest() > priority:
                window.recall()

    def _hosts(self) -> list[RemoteHost]:
        hosts = [worker.host for worker in list(self._engine.workers.values())]
        return [host for host in hosts if isinstance(host, RemoteHost)]

    # -- what ``resources.Maker`` does for threads ----------------------------------------------------------------

    def make(self) -> ResourceHandle:
        """A child with a resource, for ``run_task``."""
        self._number += 1
        remote = RemoteResource(self._engine, self, f"{self._engine.config.name}-pool-{self._number}")
        handle = ResourceHandle(None, remote.end)
        handle.remote = remote
        remote.open(lambda: self._lost(handle))
        self._engine.counters.resource(created=1)
        return handle

    def _lost(self, handle: ResourceHandle) -> None:
        if self._engine.pool.lost(handle):
            self._engine.report(PoolResourceLost())

    def end(self, handle: ResourceHandle) -> None:
        """Ends such a child."""
        assert handle.end is not None
        handle.end()


class RemoteResource:
    """One child of ``run_task``, for one caller at a time."""

    def __init__(self, engine: Engine, house: ProcessSessions, name: str) -> None:
        self._engine = engine
        self._house = house
        self._name = name
        self._orders = Orders()
        self._session: Connection | None = None
        self.broken: bool = False
        """Whether it can't be used any more."""
        self.recycle_limits: RecycleLimits = RecycleLimits(house.options)
        self._destroyed = False

    def open(self, on_lost: Callable[[], object]) -> None:
        """Makes the child and its resource; raises what the user's function raises."""
        self._session = session = self._house.open(self._name, lambda _: self._gone(on_lost))
        try:
            created(session)
        except BaseException:
            session.kill()
            self._house.close(session)
            raise

    def _gone(self, on_lost: Callable[[], object]) -> None:
        self.broken = True
        on_lost()

    def context(self) -> Context:
        """For the next task."""
        assert self._session is not None
        return RemoteContext(self._engine.root, self._session, next(self._session.numbers))

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""
        session = self._session
        assert session is not None and isinstance(context, RemoteContext)
        order = self._orders.order(context.number, Inline(task, args, copy_context()), alone=True)
        try:
            session.order([(context.number, None, 0)], [order])
            answer = self._answer(session, context)
        except BaseException:
            self.broken = True
            session.kill()
            raise
        session.in_flight.clear()
        self.recycle_limits.served += 1
        if answer[0] == RESULT:
            return answer[2]
        if answer[0] == GARBLED:
            raise garbled(task_name(task), answer[1])
        if answer[0] == ERROR:
            session.judged += 1  # if it was the resource's fault, this child gets no more tasks
            error = unpack_error(answer[2])
            if answer[5] and not context.cancelled:
                Context.cancel(context, error)
            raise error
        context.raise_if_cancelled()
        raise WorkerLost(f"worker {self._name} did not run {task_name(task)}")

    def _answer(self, session: Connection, context: Context) -> Any:
        while True:
            session.wait()
            try:
                answers = session.answers()
            except EOFError:
                lost = session.death()
                if context.cancelled:
                    context.raise_if_cancelled()
                raise lost from None
            for answer in answers:
                if answer[0] in (RESULT, ERROR, SKIPPED, GARBLED):
                    return answer
                self._destroyed = self._destroyed or answer[0] == GONE
                self.recycle_limits.large = self.recycle_limits.large or answer[0] == LARGE

    def end(self) -> None:
        """Destroys the resource, and ends the child."""
        session, self._session = self._session, None
        if session is None:
            return
        error = None
        if not self.broken:
            error, self._destroyed = close_gracefully(session)
        self._house.close(session)
        self._engine.counters.resource(**{"destroyed" if self._destroyed else "lost": 1})
        if error is not None:
            self._engine.log.fault("on_destroy", error)
