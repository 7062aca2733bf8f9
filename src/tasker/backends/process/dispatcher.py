"""The host whose resource lives in a child process, driven by the thread of its worker.

The thread waits for tasks while the child has none, and for the child while it has. Of what it takes from the queue nothing
is lost: what was answered has its outcome; what has begun when the child dies failed with ``WorkerLost``, and is retried if
it may be; what has not begun goes back to where it was.

A child that dies while its worker waits for tasks: see ``rollcall``.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.backends.base import HostDied
from tasker.control import events as ev
from tasker.errors import TaskCancelled, TaskKilled
from tasker.queues import RETIRE
from tasker.tasks import TaskFuture

from .errors import unpack_error
from .link import Link
from .messages import GONE, READY, UNMADE
from .thread_traffic import ThreadTraffic

if TYPE_CHECKING:
    from tasker.workers import Worker

    from .threaded import ThreadedHouse


class ProcessHost:
    """See the module's docstring."""

    def __init__(self, worker: Worker, shared: ThreadedHouse) -> None:
        self._worker = worker
        self._engine = worker.engine
        self._shared = shared
        self._house = shared.house
        self._queue = worker.engine.queue
        self._link: Link | None = None
        self._until: float | None = None
        self._dead = False
        self._destroyed = False
        self._killed = False

    def deceased(self) -> bool:
        """Whether the child is gone while this worker lives."""
        link = self._link
        return link is not None and link.dead

    # -- Host -----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """See ``Host``."""
        # The status comes in another thread. If this worker waits for tasks then, it has to be told.
        self._link = link = self._house.open(self._worker.name, lambda status: self._shared.roll_call.call(self))
        if self._killed:
            link.kill()
        try:
            created(link)
        except BaseException:
            self._house.close(link)
            raise
        self._engine.books.resource(created=1)
        age = self._house.options.max_age
        self._until = None if age is None else monotonic() + age

    def serve(self) -> None:
        """See ``Host``."""
        link = self._link
        assert link is not None
        traffic = ThreadTraffic(self._worker, link, self._house.options)
        try:
            while self._fill(traffic):
                traffic.hear()
        except EOFError:
            self._bury(link, traffic)
        except BaseException:  # no memory, or a fault of ours: the task in hand is the worker's to see to
            link.kill()
            link.death()
            begun = link.begun_at_death()
            self._dead = True
            traffic.give_back(list(link.flights), first=not begun)
            raise
        finally:
            self._destroyed = traffic.destroyed

    def destroy(self) -> None:
        """See ``Host``."""
        link, engine = self._link, self._engine
        if link is None:
            return
        error = None
        if not self._dead:
            error, self._destroyed = farewell(link)
        self._house.close(link)
        engine.books.resource(**{"destroyed" if self._destroyed else "lost": 1})
        if error is not None:
            engine.log.fault("on_destroy", error)

    def kill(self) -> bool:
        """See ``Host``."""
        self._killed = True
        link = self._link
        if link is not None:
            link.kill()
        return True

    # -- tasks ----------------------------------------------------------------------------------------------------

    def _fill(self, traffic: ThreadTraffic) -> bool:
        """Gives the child as many tasks as it should have. False: this worker is to end."""
        if traffic.spent or self._engine.killed or (self._until is not None and monotonic() >= self._until):
            traffic.spent = traffic.spent or not self._engine.killed
            traffic.take_back()
            if traffic.in_hand:
                return True
            if traffic.spent:
                return False
        wanted = traffic.room()
        if not wanted:
            return True
        taken = []
        if not traffic.in_hand:
            if self._shared.roll_call.next_token(self) is RETIRE:
                self._engine.report(ev.WorkerRetiring(self._worker.seat))
                return False
            taken = self._queue.take_for_token()
        taken += self._queue.take_some(wanted - len(taken))
        if taken:
            traffic.send(taken)
        return True

    def _bury(self, link: Link, traffic: ThreadTraffic) -> None:
        """The child is gone without having been told to go."""
        worker, engine = self._worker, self._engine
        self._dead = True
        begun = link.begun_at_death()
        lost = link.death()
        engine.report(ev.WorkerLost(worker.seat, str(lost)))  # first, so that a replacement is made at once
        traffic.give_back(list(link.flights), first=not begun)
        link.flights.clear()
        for _, future, _ in begun:
            cause = traffic.lost(future)
            if cause is None:
                worker.send_back(future, lost)
            else:
                error = _cut_off(future, cause)
                engine.killed_tasks += isinstance(error, TaskKilled)
                worker.failed(future, error)
            worker.shard.future = None
        raise HostDied(str(lost))


def _cut_off(future: TaskFuture[Any], cause: BaseException) -> TaskCancelled:
    kind = TaskKilled if isinstance(cause, TaskKilled) else TaskCancelled
    error = kind(f"{future.label} was cancelled, and its process ended because it did not heed that: {cause}")
    error.__cause__ = cause
    return error


def created(link: Link) -> None:
    """Waits until the child has its resource; raises what its creation raised."""
    while True:
        link.wait()
        try:
            answers = link.answers()
        except EOFError:
            raise link.death() from None
        for answer in answers:
            if answer[0] == READY:
                return
            if answer[0] == UNMADE:
                raise unpack_error(answer[1])


def farewell(link: Link) -> tuple[BaseException | None, bool]:
    """Has the child destroy its resource: what that raised, and whether it was destroyed."""
    link.leave()
    while True:
        link.wait()
        try:
            answers = link.answers()
        except EOFError:
            return link.death(), False
        for answer in answers:
            if answer[0] == GONE:
                return (None if answer[1] is None else unpack_error(answer[1])), True
