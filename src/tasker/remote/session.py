"""What a backend is made of: a session for each resource, and what the sessions of one manager have in common.

A *session* is one resource that lives somewhere else, driven by one worker. It takes tasks (``send``), runs them one after
the other in that order, and reports what became of them (``events``). A worker may send tasks ahead of their turn; what
has not begun can be taken back (``recall``). What a manager's sessions share (a server that starts them, a thread that
reads their output) belongs to its *sessions*.

A backend subclasses both and registers a factory for its options, see ``registry``. It knows no engine, thread or loop:
where there is a loop, ``Session.watch`` is given one.

One thread (or loop) drives a session. ``recall``, ``nudge``, ``cancel``, ``cut_off_after``, ``stack``, ``terminate`` and ``kill``
may be called from any thread.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tasker.errors import TravelError, WorkerLost
from tasker.logs import describe
from tasker.stats import ProcessUsage
from tasker.worker_info import WorkerInfo

from .events import SessionEvent
from .graces import graces
from .suspects import Suspects

if TYPE_CHECKING:
    import asyncio  # for a name alone: to load it takes longer than all of this library

InFlightTask = tuple[int, Any, int]
"""A task in flight: its number in the session, its future, and the level of the queue that it came from."""

Refused = tuple[InFlightTask, TravelError]
"""A task that could not be sent, and why."""

ArgsOf = Callable[[Any], tuple[Any, ...]]
"""Reads the arguments out of a future."""


class SessionOptions(Protocol):
    """What every backend's options say."""

    @property
    def max_tasks(self) -> int | None:
        """A resource is replaced after as many tasks; None: never for that reason."""
        ...

    @property
    def max_age(self) -> float | None:
        """A resource is replaced after as many seconds; None: never for that reason."""
        ...

    @property
    def pipeline(self) -> bool:
        """Whether short tasks are sent ahead of their turn."""
        ...


class Watch(Protocol):
    """A session in an event loop."""

    def flush(self) -> None:
        """Has the loop send on whatever the other side has not taken yet."""

    def close(self) -> None:
        """Ends the watch. Before the session is closed; harmless when repeated."""


class Session(ABC):
    """See the module's docstring."""

    def __init__(self, name: str, grace: float) -> None:
        self.name: str = name
        self.worker: WorkerInfo | None = None
        """Whose resource it holds; None: it is for ``run_task``. Set before it starts."""
        self.grace: float = grace
        """Seconds that a cancelled task is given."""
        self.in_flight: deque[InFlightTask] = deque()
        """The tasks that were sent and not answered, in order."""
        self.numbers: count[int] = count(1)
        """Numbers for tasks in flight."""
        self.begun: int = 0
        """The number of the task in flight that was taken to have begun; 0: none."""
        self.judged: int = 0
        """How many errors were found to be the task's own fault, and how many ``UNREAD`` were seen. Where the resource
        may be to blame for an error (``Config.check_health``), and after an ``UNREAD`` anyway, the session begins nothing
        until a message comes that was sent after the judgement."""
        self.closed: bool = False
        """Whether nothing is exchanged any more."""
        # Reentrant only because such a lock knows its holder; see ``held``. A lock of C, which is taken and released in one
        # step: a function in Python could leave it locked where Ctrl-C strikes.
        self.lock: threading.RLock = threading.RLock()
        """Held while ``in_flight``, ``begun`` or ``closed`` changes; except that the driver alone removes the first
        task in flight."""

    @property
    def pid(self) -> int:
        """The id of the process that the resource lives in; 0 if it has none of its own, or not yet."""
        return 0

    @property
    @abstractmethod
    def dead(self) -> bool:
        """Whether what the resource lives in is gone. Never true before its last events can be had."""

    def held(self) -> bool:
        """Returns whether this thread holds ``lock``. To be asked by what a finalizer or a signal handler may call in the
        middle of such a section, as it may cancel a task: it must neither wait there for what is never released, nor go on
        with what is half noted."""
        return self.lock._is_owned()  # type: ignore[attr-defined, no-any-return]

    # -- tasks ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def send(self, tasks: Sequence[InFlightTask], alone: bool = False) -> tuple[list[Refused], float]:
        """Sends tasks and appends them to ``in_flight``. Does not wait for the other side.

        Returns the tasks that cannot be sent, and the mean size of the others in bytes (0 if it is not known). A session
        that is gone takes tasks all the same: the next ``events`` raises. ``alone``: each task for itself, so that one
        that cannot be read over there does not spoil the others; and it counts as begun before anything of it is read.
        """

    @abstractmethod
    def recall(self, given_up: bool = False) -> tuple[list[InFlightTask], bool]:
        """Takes back, at once and for good, the tasks that have not begun; returns them in order.

        The second value is whether the first of them was taken to have begun. ``given_up``: so is the one that counts as
        begun, since the session has reported that it does not execute it (``UNREAD``). Once closed or dead, nothing is
        taken back: then its driver gives back what was in flight, where ``given_up`` counts all the same.
        """

    def begin(self) -> InFlightTask | None:
        """Takes the first task in flight to have begun, and returns it; None if there is none, or if it was before.

        Called with ``lock`` held, so that whatever the caller has to note of that is noted before ``recall`` can take
        the task back.
        """
        if not self.in_flight or self.in_flight[0][0] == self.begun:
            return None
        first = self.in_flight[0]
        self.begun = first[0]
        return first

    def take_all(self) -> tuple[list[InFlightTask], bool]:
        """Takes back all that is in flight of a session that is gone, whether it has begun or not; otherwise like
        ``recall``."""
        with self.lock:
            back = list(self.in_flight)
            self.in_flight.clear()
            return back, self._unbegin(back)

    def _unbegin(self, back: Sequence[InFlightTask]) -> bool:
        """Returns whether the first of the tasks taken back was taken to have begun, and corrects that. Called with
        ``lock`` held."""
        first = bool(back) and back[0][0] == self.begun
        if first:
            self.begun = 0
        return first

    @abstractmethod
    def cancel(self, number: int, cause: BaseException) -> None:
        """Cancels the context of a task there; 0: of whatever runs. A task that has not begun is skipped. Never blocks."""

    def forget(self, key: tuple[int, int]) -> None:  # noqa: B027  most backends share nothing
        """A shared value is given back, see ``sharing``: the other side is to keep it no longer. From any thread; never
        blocks for long, and raises nothing."""

    def stack(self, timeout: float) -> str | None:
        """Returns where the user's code is over there at this moment, as the lines of a traceback; "" if none runs. None if that
        cannot be known, or not within ``timeout`` seconds. Blocks so long at most, and not beyond ``close``; never raises
        anything. From any thread."""
        return None

    def progress(self) -> tuple[float, float | None] | None:
        """Returns how far the task that has begun there is, as far as it was said. From any thread."""
        return None

    # -- events ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def wait(self, timeout: float | None = None) -> None:
        """Sleeps until there may be events or ``nudge`` is called, ``timeout`` seconds at most."""

    @abstractmethod
    def nudge(self) -> None:
        """Ends a ``wait``."""

    @abstractmethod
    def events(self) -> list[SessionEvent]:
        """Returns what has been reported since the last call, possibly []. Does not wait. Raises ``EOFError`` once the
        session is gone and all was returned."""

    def last_events(self) -> list[SessionEvent]:
        """Returns what a session that is gone has reported, as far as ``events`` has not returned it."""
        events: list[SessionEvent] = []
        try:
            while more := self.events():
                events += more
        except EOFError:
            pass
        return events

    @abstractmethod
    def watch(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> Watch:
        """Has ``loop`` call ``on_ready`` in its own thread, from now on, whenever ``events`` may have something new."""

    # -- the end --------------------------------------------------------------------------------------------------

    @abstractmethod
    def check(self) -> None:
        """Has it call ``check_resource``; ``CHECKED`` follows. No task is in flight."""

    @abstractmethod
    def leave(self) -> None:
        """Asks it to destroy its resource (``GONE``) and to end. No task is in flight."""

    @abstractmethod
    def terminate(self, number: int = 0) -> None:
        """Asks it to interrupt a task, to destroy its resource and to end; 0: whatever runs. The session itself looks
        whether that task still runs, and disregards an order for one that has ended."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it at once, even while it starts. Its resource is lost."""

    @abstractmethod
    def begun_at_death(self) -> list[InFlightTask]:
        """Removes from ``in_flight`` and returns what a dead session had begun, and so may have executed: one task at
        most."""

    @abstractmethod
    def death(self) -> WorkerLost:
        """Returns how it died; may wait a moment for the answer."""

    @abstractmethod
    def close(self) -> None:
        """Waits for its end, forces that if it takes long, and releases everything. Harmless when repeated."""

    def cut_off_after(self, grace: float, number: int, patience: float) -> None:
        """Terminates the session if that task is still its first after ``grace`` seconds, and kills it ``patience``
        seconds later."""

        def still() -> bool:
            in_flight = self.in_flight
            return not self.closed and bool(in_flight) and in_flight[0][0] == number

        def terminate() -> None:
            if still():
                self.terminate(number)
                self._after(patience, number, lambda: self.kill() if still() else None)

        self._after(grace, number, terminate)

    def _after(self, seconds: float, number: int, fn: Callable[[], object]) -> None:
        graces.set(self, number, seconds, fn)
        if self.closed:  # meanwhile, so that ``close`` may have found nothing to forget
            graces.forget(self)

    def _close_once(self) -> bool:
        """Marks it as closed and ends its grace; False if it was closed before."""
        with self.lock:
            first, self.closed = not self.closed, True
        graces.forget(self)
        return first


S = TypeVar("S", bound=Session)


def death_of(session: Session) -> WorkerLost:
    """Returns how a session died, even if the backend cannot say it."""
    try:
        return session.death()
    except Exception as fault:
        lost = WorkerLost(f"worker {session.name} was lost: {describe(fault)}")
        lost.__cause__ = fault
        return lost


class Sessions(ABC, Generic[S]):
    """The sessions of one manager. Thread-safe."""

    def __init__(self, options: SessionOptions) -> None:
        self.options: SessionOptions = options
        self.suspects: Suspects = Suspects()
        self._lock = threading.RLock()  # reentrant: a signal handler may ask for ``stats()`` in the middle of this
        self._open: dict[S, None] = {}
        self._barred = False
        self._finished = False
        self._released = False

    def open(self, name: str, on_end: Callable[[], object], worker: WorkerInfo | None = None) -> S:
        """Starts a session, which then makes its resource; ``READY`` or ``UNMADE`` follows. May block for a moment.

        ``on_end`` is called in any thread once the session is dead, however it ended.
        """
        session = self._new(name, on_end)
        session.worker = worker
        # Before it starts, so that ``kill_all`` reaches one whose start hangs.
        with self._lock:
            self._open[session] = None
            late = self._barred
        try:
            if late:  # nothing would end it any more
                raise WorkerLost(f"worker {name} was not started: its manager has ended")
            self._start(session)
        except BaseException:
            self.close(session)
            raise
        return session

    def close(self, session: S) -> None:
        """Waits for a session's end and forgets it."""
        try:
            session.close()
        finally:
            with self._lock:
                self._open.pop(session, None)
            self._release_if_empty()

    def end(self, session: S) -> BaseException | None:
        """As ``close``, for a caller that has something to report after it, whatever fails; returns what it raised."""
        try:
            self.close(session)
        except BaseException as fault:  # an asynchronous exception, too: the caller's books need this report
            return fault
        return None

    def finish(self) -> None:
        """Announces that no more sessions are opened: what they share goes with the last one, or now. May block for a
        moment."""
        with self._lock:
            self._finished = True
        self._release_if_empty()

    def bar(self) -> None:
        """Lets no session start any more. Before ``kill_all``."""
        with self._lock:
            self._barred = True

    def cancel_all(self, cause: BaseException) -> None:
        """Cancels whatever runs in a session, tasks of ``run_task`` included."""
        for session in self._all():
            session.cancel(0, cause)

    def terminate_all(self) -> None:
        """Asks every session to interrupt what runs, to destroy its resource and to end."""
        for session in self._all():
            session.terminate()

    def kill_all(self) -> None:
        """Ends every session at once. Raises the last error, if any, once all have been ended."""
        failure: BaseException | None = None
        for session in self._all():
            try:
                session.kill()
            except BaseException as error:
                failure = error
        if failure is not None:
            raise failure

    def forget(self, key: tuple[int, int]) -> None:
        """Tells every session that a shared value is given back."""
        for session in self._all():
            session.forget(key)

    def usage(self) -> tuple[ProcessUsage, ...]:
        """Returns what the processes of the sessions take now, where they have their own."""
        return ()

    def _all(self) -> list[S]:
        with self._lock:
            return list(self._open)

    def _release_if_empty(self) -> None:
        with self._lock:
            if self._released or not self._finished or self._open:
                return
            self._released = True
        self._release()

    @abstractmethod
    def _new(self, name: str, on_end: Callable[[], object]) -> S:
        """Returns a session that is not started."""

    @abstractmethod
    def _start(self, session: S) -> None:
        """Starts it; returns as soon as it makes its resource."""

    @abstractmethod
    def _release(self) -> None:
        """Releases what the sessions share. Called once, with no session left."""
