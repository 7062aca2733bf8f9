"""The way back to the queue of tasks that were sent to a session, or were to be, and have not begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tasker.control.attempts import Unstarted, unstarted
from tasker.core.snapshots import snapshot
from tasker.errors import TaskCancelled

from .books import TaskBooks
from .limits import late_for
from .ports import WindowEngine
from .session import InFlightTask, Session
from .suspects import Suspects

NOTHING_WITHDRAWN: tuple[int, frozenset[Any]] = (0, frozenset())


class WayBack(TaskBooks):
    """See the module's docstring. For the worker's thread alone, except ``recall`` and ``ahead``."""

    def __init__(
        self,
        name: str,
        engine: WindowEngine,
        session: Session,
        nudge: Callable[[], object],
        suspects: Suspects | None = None,
    ) -> None:
        self.name: str = name
        """The worker's."""
        self._any_engine: WindowEngine = engine
        self._session: Session = session
        self._nudge = nudge
        self._suspects = Suspects() if suspects is None else suspects
        self._alone: set[int] = set()
        """The numbers of tasks that were sent by themselves."""
        self._withdrawn: tuple[int, frozenset[Any]] = NOTHING_WITHDRAWN
        """What was taken back and the session may not have read yet: the last number, and the futures."""
        # What a fault of this process in the middle of a step must not lose, nor a kill while a step hangs:
        self.taken: Sequence[tuple[Any, int]] = ()
        """Tasks that come from the queue, with their levels, and are not all in ``_loose`` yet."""
        self._loose: Sequence[InFlightTask] = ()
        """Tasks that may be neither in the queue nor in flight."""

    def ahead(self) -> list[Any]:
        """Returns the tasks that are in flight, or on their way there. From any thread."""
        on_their_way = [future for future, _ in self.taken]  # first: they go from here to there
        return [*on_their_way, *(future for _, future, _ in (*self._loose, *snapshot(self._session.in_flight)))]

    def take_back(self) -> None:
        """Puts what has not begun back into the queue. For the worker's thread."""
        self._loose = snapshot(self._session.in_flight)  # until it is back
        self._withdraw()
        self._loose = ()

    def _withdraw(self) -> None:
        if self._session.in_flight:
            back, first = self._session.recall()
            if back:
                earlier = {future for future in self._withdrawn[1] if not future.done()}
                self._withdrawn = back[-1][0], frozenset(earlier.union(future for _, future, _ in back))
            self.give_back(back, first=first)

    def recall(self) -> None:
        """``take_back`` of what was sent ahead, for another thread than the worker's, or a finalizer in this one."""
        if self._session.held():
            self._any_engine.soon(self._recall_outside)
            return
        if len(self._session.in_flight) > 1:
            self._withdraw()
            self._nudge()

    def _recall_outside(self) -> None:
        """``recall`` after a section in which it was asked for."""
        if not self._session.held():  # it is where the manager has ended, and the call is made at once: too late
            self.recall()

    def _recalled(self, given_up: bool = False) -> list[InFlightTask]:
        """Takes back what has not begun, to send it again."""
        self._loose = snapshot(self._session.in_flight)
        back, first = self._session.recall(given_up)
        if first:
            self._uncount(back[0][1])
        self._loose = back
        return back

    def give_back(self, tasks: Sequence[InFlightTask], *, first: bool) -> None:
        """Puts tasks that have not begun back into their places in the queue, unless they are not wanted any more.
        ``first``: whether the first of them was taken to have begun."""
        if first:
            self._uncount(tasks[0][1])
        ends: list[tuple[InFlightTask, Callable[[], object]]] = []
        for task in reversed(tasks):
            try:
                if (end := self._give_back(*task)) is not None:
                    ends.append((task, end))
            except BaseException as fault:  # no memory, say: the others go back all the same
                self._restore(task, fault)
        if ends:
            # Once the others are back: what calls the user's code may take long.
            self._calling_back_last(partial(self._end_unwanted, ends))
        self.check_drained()

    def _give_back(self, number: int, future: Any, level: int) -> Callable[[], object] | None:
        """Puts a task back, or returns what ends it."""
        engine = self._any_engine
        done, cancelled = self._unsend(future)
        verdict = unstarted(done=done, killed=engine.killed, cancelled=cancelled, suspect=number in self._alone)
        if verdict is Unstarted.LEAVE:
            return partial(self._count_ended, future)
        if verdict is Unstarted.DROP:
            return partial(engine.drop, future)
        if verdict is Unstarted.CANCEL:
            return partial(self._cancel_unstarted, future)
        if (late := late_for(future)) is not None:
            return partial(engine.fail_queued, future, late)
        if verdict is Unstarted.ISOLATE:
            self._suspects.add(future)
        engine.queue.put_back(future, level)
        return None

    def _end_unwanted(self, ends: Sequence[tuple[InFlightTask, Callable[[], object]]]) -> None:
        for task, end in ends:
            try:
                end()
            except BaseException as fault:
                self._restore(task, fault)

    def _restore(self, task: InFlightTask, fault: BaseException) -> None:
        """Puts a task into the queue that a fault has left outside of it."""
        (_, future, level), queue = task, self._any_engine.queue
        self._any_engine.log.fault(f"the return of {future.label}", fault)
        if not future.done() and future not in snapshot(queue.levels[level]):
            queue.put_back(future, level)

    def give_back_all(self, *, suspect: bool = False) -> None:
        """Gives back all that is in flight. The session is gone, and what it had begun was taken out. ``suspect``:
        nothing had begun, so a message may have killed it: one of what was taken back before, or of these."""
        rest, first = self._session.take_all()
        if suspect:
            self._alone = {number for number, _, _ in rest}
            for future in self._withdrawn[1]:
                self._suspects.add(future)
        self.give_back(rest, first=first)

    # -- after a fault of this process ----------------------------------------------------------------------------

    def find_loose(self) -> None:
        """Finds what the fault has left neither in the queue nor in flight, nor counted as begun. Before anything else."""
        in_flight, queue = snapshot(self._session.in_flight), self._any_engine.queue
        known = {number for number, _, _ in in_flight}
        queued = {id(future) for level in queue.levels for future in snapshot(level)}
        loose = [*self._loose, *((0, future, level) for future, level in self.taken)]
        self.taken = ()
        self._loose = [
            (number, future, level)
            for number, future, level in loose
            # Another worker may have it, where another thread has taken it back.
            if number not in known and id(future) not in queued and (not number or future._worker == self.name)
        ]
        if in_flight and in_flight[0][0] == self._session.begun and not self._is_counted(in_flight[0][1]):
            self._session.begun = 0

    def give_back_loose(self) -> None:
        """Gives back what ``find_loose`` has found. Before what is in flight."""
        loose, self._loose = self._loose, ()
        if back := [task for task in loose if not task[1].done()]:
            self.give_back(back, first=False)

    def check_drained(self) -> None:
        """Has the engine look whether that was the last task, if it waits for that."""
        if self._any_engine.door:
            self._any_engine.check_drained()


def cancelled_unstarted(future: Any) -> TaskCancelled:
    """Returns the error of a task that was cancelled before it started."""
    return TaskCancelled(f"{future.label} was cancelled before it started")
