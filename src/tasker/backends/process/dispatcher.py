"""The host whose resource lives in a child process, driven by the thread of its worker.

The thread waits for tasks while the child has none, and for the child while it has. Of what it takes from the queue nothing
is lost: what was answered has its outcome; what has begun when the child dies failed with ``WorkerLost``, and is retried if
it may be; what has not begun goes back to where it was.

A child that dies while its worker waits for tasks: see ``rollcall``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasker.backends.base import HostDied
from tasker.control import events as ev
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost
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
        self._queue = worker.engine.queue
        self._link: Link | None = None
        self.traffic: ThreadTraffic | None = None
        """While it serves."""
        self._retiring = False
        self._dead = False
        self._destroyed = False
        self._killed = False

    @property
    def name(self) -> str:
        """The worker's."""
        return self._worker.name

    def deceased(self) -> bool:
        """Whether the child is gone while this worker lives."""
        link = self._link
        return link is not None and link.dead

    # -- Host -----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """See ``Host``."""
        # The status comes in another thread. If this worker waits for tasks then, it has to be told.
        self._link = link = self._shared.open(self._worker.name, lambda status: self._shared.roll_call.call(self))
        if self._killed:
            link.kill()
        try:
            created(link)
        except BaseException:
            self._shared.close(link)
            raise
        self._engine.books.resource(created=1)

    def serve(self) -> None:
        """See ``Host``."""
        link = self._link
        assert link is not None
        self.traffic = traffic = ThreadTraffic(self._worker, link, self._shared.options)
        try:
            while self._fill(traffic):
                traffic.hear()
        except EOFError:
            self._bury(link, traffic)
        except BaseException:  # no memory, or a fault of ours: the task in hand is the worker's to see to
            link.kill()
            link.death()
            link.begun_at_death()
            self._dead = True
            rest = list(link.flights)
            traffic.give_back(rest, first=bool(rest) and rest[0][0] == link.begun)
            raise
        finally:
            self.traffic = None
            if self._retiring:  # somebody else has to, then
                self._queue.retire(1)
            self._destroyed = traffic.destroyed

    def destroy(self) -> None:
        """See ``Host``."""
        link, engine = self._link, self._engine
        if link is None:
            return
        error = None
        if not self._dead:
            error, self._destroyed = farewell(link)
        self._shared.close(link)
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
        if self._retiring and not traffic.in_hand:
            self._retiring = False
            self._engine.report(ev.WorkerRetiring(self._worker.seat))
            return False
        spent = traffic.spent()
        if spent or self._engine.killed:
            traffic.take_back()
            if traffic.in_hand:
                return True
            if spent:
                if not traffic.unhealthy:
                    self._engine.report(ev.WorkerWorn(self._worker.seat))
                return False
        wanted = 0 if self._retiring else traffic.room()
        taken = self._take(traffic, wanted)
        if taken:
            traffic.send(taken)
        return True

    def _take(self, traffic: ThreadTraffic, wanted: int) -> list[tuple[TaskFuture[Any], int]]:
        """As many tasks as that at most; waits for the first if the child has none."""
        taken: list[tuple[TaskFuture[Any], int]] = []
        if wanted and not traffic.in_hand:
            token = self._shared.roll_call.next_token(self)
            self._retiring = token is RETIRE
            if self._retiring:
                return taken
            if traffic.spent():  # too old by now: this one is for another worker
                self._queue.tokens.put(token)
                return taken
            taken = self._queue.take_for_token()
        if wanted > len(taken):
            more, self._retiring = self._queue.take_some(wanted - len(taken))
            taken += more
        return taken

    def _bury(self, link: Link, traffic: ThreadTraffic) -> None:
        """The child is gone without having been told to go. Raises ``HostDied``, unless it has destroyed its resource."""
        worker, engine = self._worker, self._engine
        self._dead = True
        begun = link.begun_at_death()
        lost = link.death()
        traffic.last_words(link.last_answers())
        if not traffic.destroyed:
            engine.report(ev.WorkerLost(worker.seat, str(lost)))  # first, so that a replacement is made at once
        rest = list(link.flights)
        link.flights.clear()
        traffic.give_back(rest, first=bool(rest) and rest[0][0] == link.begun)
        told = [self._lose(traffic, number, future, lost) for number, future, _ in begun]
        if not traffic.destroyed:
            raise HostDied(str(lost))
        if not any(told):
            engine.report(ev.WorkerWorn(worker.seat))

    def _lose(self, traffic: ThreadTraffic, number: int, future: TaskFuture[Any], lost: WorkerLost) -> bool:
        """The child died in this task. True if it is left to the supervisor, which so hears of this worker's end."""
        worker = self._worker
        cause = traffic.lost(number, future)
        if cause is None:
            worker.send_back(future, lost)
        else:
            error = _cut_off(future, cause)
            self._engine.toll.killed_tasks += isinstance(error, TaskKilled)
            worker.failed(future, error)
        worker.shard.future = None
        return cause is None


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
