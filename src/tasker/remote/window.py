"""The tasks in flight between one worker and its session: sent, ended, taken back. What both engines have in common.

A task counts as started when it is the first of those in flight, not when it is sent: a task that was sent ahead still waits.
It cannot be taken out from between the others, though; so a cancellation on its way goes to the session, which skips a task
that it has not begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_loss
from tasker.control.health import Health
from tasker.core.snapshots import snapshot
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost
from tasker.logs import describe

from .context import RemoteContext, cancelled_there
from .events import ERROR, GONE, LARGE, RESULT, SKIPPED, UNFIT, UNREAD, SessionEvent, out_of_turn
from .limits import begin_limit
from .ports import WindowEngine
from .prefetch import Prefetch
from .recycling import RecycleLimits
from .session import InFlightTask, Session, SessionOptions
from .suspects import Suspects
from .way_back import NOTHING_WITHDRAWN, WayBack


class InFlightWindow(WayBack):
    """See the module's docstring. For the worker's thread alone, except ``recall``."""

    def __init__(
        self,
        name: str,
        engine: WindowEngine,
        session: Session,
        options: SessionOptions,
        nudge: Callable[[], object],
        suspects: Suspects | None = None,
    ) -> None:
        super().__init__(name, engine, session, nudge, suspects)
        self._prefetch = Prefetch(options.pipeline)
        self.recycle_limits: RecycleLimits = RecycleLimits(options, engine.config)
        self.unhealthy: bool = False
        """Whether its resource is not to be used any more."""
        self.destroyed: bool = False
        """Whether it has destroyed its resource of its own accord, having been terminated."""
        # What a fault of this process in the middle of a step must not lose:
        self._unhandled: Iterator[SessionEvent] = iter(())
        """Events that were read and not handled."""
        self._handling: SessionEvent | None = None
        """The last outcome that was taken from them, if something can strike before it is handled."""
        self._over = False
        """Whether such a fault has ended the session."""

    @property
    def in_hand(self) -> int:
        """How many tasks are in flight."""
        return len(self._session.in_flight)

    def spent(self) -> bool:
        """Returns whether the session gets no more tasks."""
        return self.unhealthy or self.recycle_limits.reached()

    def report_spent(self, seat: ev.Seat) -> None:
        """Reports why the session gets no more tasks, unless the supervisor knows it by a failed attempt."""
        if self.unhealthy:
            return
        if self.recycle_limits.unfit:
            self._any_engine.log.log("warning", "worker %s replaces its resource: on_return failed", self.name)
            self._any_engine.report(ev.WorkerUnhealthy(seat))
        else:
            self._any_engine.report(ev.WorkerWorn(seat))

    def last_level(self) -> int:
        """Returns the level of the last task in flight; -1 if none was sent ahead. From any thread."""
        in_flight = self._session.in_flight
        try:
            return in_flight[-1][2] if len(in_flight) > 1 else -1
        except IndexError:  # it has ended meanwhile
            return -1

    def room(self) -> int:
        """Returns how many tasks are to be sent now; at least one if none is in flight."""
        in_hand, engine = len(self._session.in_flight), self._any_engine
        if engine.barred:
            return 0 if in_hand else 1
        queued = sum(map(len, engine.queue.levels))
        wanted = self._prefetch.in_hand(queued + in_hand, len(engine.workers))
        wanted = self.recycle_limits.remaining(wanted)
        # Not before half of them have ended, so that messages stay large.
        return 0 if 2 * in_hand > wanted else wanted - in_hand

    # -- to the session -------------------------------------------------------------------------------------------

    def _dispatch(self, tasks: Sequence[InFlightTask], *, alone: bool = False) -> None:
        self._loose = tasks
        self.taken: Sequence[tuple[Any, int]] = ()
        if alone or self._alone or self._suspects:
            alone = self._isolates(tasks, alone)
        refused, size = self._session.send(tasks, alone)
        if size:
            self._prefetch.weighed(size)
        for (_, future, _), error in refused:
            self._refuse(future, error)
        self._loose = ()
        self._begin()

    def _isolates(self, tasks: Sequence[InFlightTask], alone: bool) -> bool:
        """Returns whether tasks are to be sent by themselves, which one of them is enough for, and notes it."""
        numbers = {number for number, _, _ in tasks}
        kept = self._alone & (numbers | {number for number, _, _ in snapshot(self._session.in_flight)})
        self._suspects.forget_ended()
        found = self._suspects.take(future for _, future, _ in tasks)
        isolates = alone or found or not kept.isdisjoint(numbers)
        self._alone = kept | numbers if isolates else kept
        return isolates

    def _begin(self) -> None:
        """Takes the first task in flight to run now, if it was not before."""
        # Under the lock until all is noted: another thread's ``recall`` must not put the task back into the queue, where
        # a third one may begin it, while its start is half noted here.
        with self._session.lock:
            first = self._session.begin()
            if first is None:
                return
            number, future, _ = first
            context = RemoteContext(self._any_engine.root, self._session, number)
            self._count(future)
            cancelled = self._give_context(future, context)
            late = begin_limit(self._any_engine, future, context)
        # Outside of it: this cancels in the session, which takes the lock.
        if cancelled:
            context.cancel(TaskCancelled(f"{future.label} was cancelled"))
        elif late is not None:
            context.cancel(late)
        elif self._any_engine.killed:
            # The kill has cancelled the contexts that it found. Either it finds this one, or its cause is here by now.
            cause = self._any_engine.root.cause
            if cause is not None:
                context.cancel(cause)

    # -- from the session -----------------------------------------------------------------------------------------

    def _ended(self, number: int) -> Any:
        """Returns the future of a task that has ended there, and removes it."""
        expected, future, _ = self._session.in_flight[0]
        if expected != number:
            raise out_of_turn(expected, number)
        self._begin()
        self._session.in_flight.popleft()
        self.recycle_limits.served += 1
        return future

    def _raised(self, number: int, error: BaseException, started: float, cancelled: bool) -> Any:
        """Returns the future of a task that has raised there, after noting what it did to its context."""
        future = self._ended(number)
        future._started_at = started
        context = self._context_of(future)
        if cancelled and context is not None and not context.cancelled:
            cancelled_there(context, error)
        return future

    def _handle(self, event: SessionEvent) -> None:
        """Handles what is neither a result nor an error."""
        kind = event[0]
        if kind == SKIPPED:
            skipped = self._session.in_flight[0]
            if skipped[0] != event[1]:
                raise out_of_turn(skipped[0], event[1])
            self._session.in_flight.popleft()
            self.give_back([skipped], first=skipped[0] == self._session.begun)
        elif kind == UNREAD:
            self._session.judged += 1  # first, so that what is sent again does not count as sent before this
            if back := self._recalled(given_up=event[1]):  # nothing, if the session is gone
                self._dispatch(back, alone=not event[1])
        elif kind == LARGE:
            self.recycle_limits.large = True
        elif kind == UNFIT:
            self.recycle_limits.unfit = True
            self._any_engine.log.fault("on_return", event[1])
        elif kind == GONE:
            self.destroyed = True
            if event[1] is not None:
                self._any_engine.log.fault("on_destroy", event[1])

    def handle_last(self, events: Sequence[SessionEvent]) -> None:
        """Handles what a session that is gone had still reported: that it has destroyed its resource."""
        for event in events:
            if event[0] == GONE:
                self._handle(event)

    def _judged(self, health: Health) -> None:
        """Goes on after an error, at which the session pauses where that could be the resource's fault."""
        if health.replaces:
            self.unhealthy = True
        elif health.blames:
            self._session.judged += 1
            self.take_back()  # its worker cools down
        elif not self._over and self._any_engine.config.check_health is not None:
            self._session.judged += 1
            self._dispatch(self._recalled())

    def _handled(self, events: Sequence[SessionEvent], took: float) -> None:
        """Notes what became of tasks that took so many seconds. A session reads in order: what was sent before a task that
        it reports has not killed it."""
        self._handling = None
        # Without the GIL, an iterator that is through keeps its list, and so the last outcomes.
        self._unhandled = iter(())
        self._prefetch.took(took / len(events))
        self.recycle_limits.note_use()
        last = events[-1]
        if last[0] in (RESULT, ERROR, SKIPPED) and last[1] > self._withdrawn[0]:
            self._withdrawn = NOTHING_WITHDRAWN

    def _unread(self) -> None:
        """Goes on after a report that could not be read. It may have been an error, after which the session begins nothing
        until that is judged: then it gets no more tasks."""
        if self._any_engine.config.check_health is not None:
            self.recycle_limits.large = True

    def _silent(self) -> None:
        """Nothing was reported in time: what was sent ahead may run elsewhere."""
        if len(self._session.in_flight) > 1:
            self._prefetch.slow()
            self.take_back()

    # -- after a fault of this process ----------------------------------------------------------------------------

    def _read_before(self, taken: Sequence[SessionEvent] = ()) -> list[SessionEvent]:
        """Returns what the session, which is gone, has reported and nothing has handled; ``taken``: events that were
        taken out of it."""
        self._over = True
        in_flight, last = self._session.in_flight, self._handling
        again = [last] if last is not None and in_flight and in_flight[0][0] == last[1] else []
        return [*again, *self._unhandled, *taken, *self._session.last_events()]

    def lost_by(self, fault: BaseException) -> WorkerLost:
        """Returns the error of a task whose outcome this process could not take."""
        lost = WorkerLost(f"worker {self.name} was lost: {describe(fault)}")
        lost.__cause__ = fault
        return lost

    def _in_hand(self, future: Any) -> bool:
        """Returns whether a task is neither in flight nor has its outcome."""
        in_flight = self._session.in_flight
        return future is not None and not future.done() and not (in_flight and in_flight[0][1] is future)

    # -- a session that died --------------------------------------------------------------------------------------

    def cut_off(self, number: int, future: Any) -> TaskCancelled | None:
        """Returns the error of a task in which the session died because the task was cancelled and did not heed that;
        None if the session died of anything else, so that the attempt has failed."""
        context = None
        if number == self._session.begun:
            context = self._context_of(future)
        else:
            self._count(future)
        cause = None if context is None else context.cause
        verdict = after_loss(cancelled=cause is not None, killed=isinstance(cause, TaskKilled))
        if verdict is None:
            if number in self._alone:  # it may have been its message that has killed, and would kill again
                self._suspects.add(future)
            return None
        kind = TaskKilled if verdict is Verdict.KILLED else TaskCancelled
        error = kind(f"{future.label} was cancelled, and its process ended because it did not heed that: {cause}")
        error.__cause__ = cause
        if verdict is Verdict.KILLED:
            self._any_engine.shutdown_counts.add_killed()
        return error
