"""What a ``TaskManager`` has of its children: hosts for its workers, and the resources of ``run_task``."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.errors import WorkerLost
from tasker.logs import task_name
from tasker.resources import Held
from tasker.tasks import TaskFuture

from .dispatcher import ProcessHost, created, farewell
from .errors import garbled, unpack_error
from .house import House
from .link import Link
from .messages import ERROR, GARBLED, GONE, LARGE, RESULT, SKIPPED
from .ordering import Inline, Orders
from .recycling import Wear
from .remote import RemoteContext
from .rollcall import RollCall

if TYPE_CHECKING:
    from tasker.engine import Engine
    from tasker.workers import Worker


class ThreadedHouse(House):
    """See the module's docstring."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.config, engine.log, asynchronous=False)
        self._engine = engine
        self.roll_call: RollCall = RollCall(engine.queue)
        self._number = 0

    def host(self, worker: Worker) -> ProcessHost:
        """A host for a worker."""
        return ProcessHost(worker, self)

    def recall(self, future: TaskFuture[Any]) -> None:
        """See ``tasks.Owner``."""
        for host in self._hosts():
            if host.name == future.worker and host.traffic is not None:
                host.traffic.recall()

    def overtake(self, priority: int) -> None:
        """A task of that priority waits: whatever was sent ahead and is less urgent waits behind it."""
        for host in self._hosts():
            traffic = host.traffic
            if traffic is not None and traffic.lowest() > priority:
                traffic.recall()

    def _hosts(self) -> list[ProcessHost]:
        hosts = [worker.host for worker in list(self._engine.workers.values())]
        return [host for host in hosts if isinstance(host, ProcessHost)]

    # -- what ``resources.Maker`` does for threads ----------------------------------------------------------------

    def make(self) -> Held:
        """A child with a resource, for ``run_task``."""
        self._number += 1
        away = Away(self._engine, self, f"{self._engine.config.name}-pool-{self._number}")
        held = Held(None, away.end)
        held.away = away
        away.open(lambda: self._lost(held))
        self._engine.books.resource(created=1)
        return held

    def _lost(self, held: Held) -> None:
        if self._engine.pool.lost(held):
            self._engine.report(PoolResourceLost())

    def end(self, held: Held) -> None:
        """Ends such a child."""
        assert held.end is not None
        held.end()


class Away:
    """One child of ``run_task``, for one caller at a time."""

    def __init__(self, engine: Engine, house: House, name: str) -> None:
        self._engine = engine
        self._house = house
        self._name = name
        self._orders = Orders()
        self._link: Link | None = None
        self.broken: bool = False
        """Whether it can't be used any more."""
        self.wear: Wear = Wear(house.options)
        self._destroyed = False

    def open(self, on_lost: Callable[[], object]) -> None:
        """Makes the child and its resource; raises what the user's function raises."""
        self._link = link = self._house.open(self._name, lambda _: self._gone(on_lost))
        try:
            created(link)
        except BaseException:
            link.kill()
            self._house.close(link)
            raise

    def _gone(self, on_lost: Callable[[], object]) -> None:
        self.broken = True
        on_lost()

    def context(self) -> Context:
        """For the next task."""
        assert self._link is not None
        return RemoteContext(self._engine.root, self._link, next(self._link.numbers))

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""
        link = self._link
        assert link is not None and isinstance(context, RemoteContext)
        order = self._orders.order(context.number, Inline(task, args, copy_context()), alone=True)
        try:
            link.order([(context.number, None, 0)], [order])
            answer = self._answer(link, context)
        except BaseException:
            self.broken = True
            link.kill()
            raise
        link.flights.clear()
        self.wear.served += 1
        if answer[0] == RESULT:
            return answer[2]
        if answer[0] == GARBLED:
            raise garbled(task_name(task), answer[1])
        if answer[0] == ERROR:
            link.judged += 1  # if it was the resource's fault, this child gets no more tasks
            error = unpack_error(answer[2])
            if answer[5] and not context.cancelled:
                Context.cancel(context, error)
            raise error
        context.raise_if_cancelled()
        raise WorkerLost(f"worker {self._name} did not run {task_name(task)}")

    def _answer(self, link: Link, context: Context) -> Any:
        while True:
            link.wait()
            try:
                answers = link.answers()
            except EOFError:
                lost = link.death()
                if context.cancelled:
                    context.raise_if_cancelled()
                raise lost from None
            for answer in answers:
                if answer[0] in (RESULT, ERROR, SKIPPED, GARBLED):
                    return answer
                self._destroyed = self._destroyed or answer[0] == GONE
                self.wear.large = self.wear.large or answer[0] == LARGE

    def end(self) -> None:
        """Destroys the resource, and ends the child."""
        link, self._link = self._link, None
        if link is None:
            return
        error = None
        if not self.broken:
            error, self._destroyed = farewell(link)
        self._house.close(link)
        self._engine.books.resource(**{"destroyed" if self._destroyed else "lost": 1})
        if error is not None:
            self._engine.log.fault("on_destroy", error)
