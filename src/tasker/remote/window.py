"""The tasks between one worker and its child: sent, answered, taken back. What both engines have in common.

Counters. A task counts as started when it is the first of those that the child has, not when it is sent: what was sent ahead
still waits. It can't be taken out from between the others, though; so a cancellation on its way goes to the child, which
drops a task that it has not begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasker.errors import TaskCancelled, TravelError
from tasker.process.options import ProcessBackend
from tasker.process.parent.connection import Connection, InFlightTask
from tasker.process.protocol.errors import PackedError, unpack_error
from tasker.process.protocol.messages import GONE, LARGE, SKIPPED, UNREAD, Answer
from tasker.process.protocol.orders import Orders

from .context import RemoteContext
from .prefetch import Prefetch
from .recycling import RecycleLimits

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine
    from tasker.threads.engine import Engine


class InFlightWindow(ABC):
    """See the module's docstring. For the worker's thread alone."""

    def __init__(self, engine: Engine | AsyncEngine, session: Connection, options: ProcessBackend, args: str) -> None:
        self._shared_engine: Engine | AsyncEngine = engine
        self._session = session
        self._orders = Orders(args)
        self._ahead = Prefetch(options.pipeline)
        self.recycle_limits: RecycleLimits = RecycleLimits(options)
        self.unhealthy: bool = False
        """Whether its resource is not to be used any more."""
        self.destroyed: bool = False
        """Whether it has destroyed its resource of its own accord, having been terminated."""

    @property
    def in_hand(self) -> int:
        """How many tasks the child has."""
        return len(self._session.in_flight)

    def spent(self) -> bool:
        """Whether the child gets no more tasks."""
        return self.unhealthy or self.recycle_limits.reached()

    def lowest(self) -> int:
        """The level of the last task that the child has; -1 if it has none ahead."""
        in_flight = self._session.in_flight
        try:
            return in_flight[-1][2] if len(in_flight) > 1 else -1
        except IndexError:  # answered meanwhile
            return -1

    def room(self) -> int:
        """How many tasks are to be sent now. At least one if the child has none."""
        in_hand, engine = len(self._session.in_flight), self._shared_engine
        if engine.killed:
            return 0 if in_hand else 1
        queued = sum(map(len, engine.queue.levels))
        wanted = self._ahead.in_hand(queued + in_hand, len(engine.workers))
        wanted = self.recycle_limits.remaining(wanted)
        return 0 if 2 * in_hand > wanted else wanted - in_hand

    # -- to the child ---------------------------------------------------------------------------------------------

    def _dispatch(self, in_flight: Sequence[InFlightTask], *, alone: bool = False) -> None:
        """Sends tasks; ``alone``: each pickled for itself."""
        self._orders.new_message()
        order, size = self._orders.order, 0
        orders: list[Any] = []
        sent: list[InFlightTask] = []
        for in_flight_task in in_flight:
            number, future, _ = in_flight_task
            try:
                orders.append(order(number, future, alone))
            except TravelError as error:
                self._refuse(future, error)
            else:
                sent.append(in_flight_task)
                size += self._orders.size
        if not sent:
            return
        self._ahead.weighed(size / len(sent))
        try:
            self._session.order(sent, orders)
        except OSError as error:
            for _, future, _ in sent:
                self._refuse(future, TravelError(f"{future.label}: its arguments can't be sent: {error}"))
            return
        except Exception:  # something in there can't be pickled; but what?
            if alone:
                raise
            self._dispatch(sent, alone=True)
            return
        self._begin()

    def _begin(self) -> None:
        """The first flight is the one that runs now, as far as this process knows."""
        with self._session.lock:
            first = self._session.begin()
            if first is None:
                return
            number, future, _ = first
            context = RemoteContext(self._shared_engine.root, self._session, number)
            self._count(future)
            cancelled = self._begins(future, context)
        if cancelled:
            context.cancel(TaskCancelled(f"{future.label} was cancelled"))

    # -- from the child -------------------------------------------------------------------------------------------

    def _land(self, number: int) -> Any:
        """The future of a task that was answered."""
        expected, future, _ = self._session.in_flight[0]
        if expected != number:
            raise out_of_turn(expected, number)
        self._begin()
        self._session.in_flight.popleft()
        self.recycle_limits.served += 1
        return future

    def _received(self, answer: Answer) -> None:
        """What is neither a result nor an error."""
        what = answer[0]
        if what == SKIPPED:
            in_flight_task = self._session.in_flight.popleft()
            self.give_back([in_flight_task], first=in_flight_task[0] == self._session.begun)
        elif what == UNREAD:  # each of its tasks for itself, then
            self._dispatch(self._regained(), alone=True)
        elif what == LARGE:
            self.recycle_limits.large = True
        elif what == GONE:
            self.destroyed = True
            if answer[1] is not None:
                self._shared_engine.log.fault("on_destroy", unpack_error(answer[1]))

    def receive_last(self, answers: list[Answer]) -> None:
        """What a child that is gone had still said: that it has destroyed its resource."""
        for answer in answers:
            if answer[0] == GONE:
                self._received(answer)

    def _tried(self, healthy: bool) -> None:
        """After an error the child waits where that could have been the resource's fault."""
        if not healthy:
            self.unhealthy = True
        elif self._shared_engine.config.check_health is not None:
            self._session.judged += 1
            self._dispatch(self._regained())

    # -- back to the queue ----------------------------------------------------------------------------------------

    def take_back(self) -> None:
        """What the child has not begun goes back to the queue."""
        if self._session.in_flight:
            back, first = self._session.take_back()
            self.give_back(back, first=first)

    def _regained(self) -> list[InFlightTask]:
        """What the child has not begun."""
        back, first = self._session.take_back()
        if first:
            self._uncount(back[0][1])
        return back

    def give_back(self, in_flight: list[InFlightTask], *, first: bool) -> None:
        """Tasks that have not begun: each goes back to its place in the queue, unless it is not wanted any more. ``first``:
        whether the first of them is the one that was taken to have begun."""
        if first:
            self._uncount(in_flight[0][1])
        for _, future, level in reversed(in_flight):
            self._return(future, level)
        self._check_drained()

    # -- the engine's ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _refuse(self, future: Any, error: TravelError) -> None:
        """The task can't be sent."""

    @abstractmethod
    def _count(self, future: Any) -> None:
        """It counts as started."""

    @abstractmethod
    def _uncount(self, future: Any) -> None:
        """It was not, after all."""

    @abstractmethod
    def _begins(self, future: Any, context: RemoteContext) -> bool:
        """It has a context from now on. True if it was cancelled before."""

    @abstractmethod
    def _return(self, future: Any, level: int) -> None:
        """To the queue with it."""

    @abstractmethod
    def _check_drained(self) -> None:
        """Something may have been the last."""


def out_of_turn(expected: int, number: int) -> RuntimeError:
    """The child answered another task than its first: a task has forked, say, and both went on."""
    return RuntimeError(f"the child answered task {number} instead of {expected}")


def blameless(error: BaseException, packed: PackedError) -> bool:
    """Whether it is the journey's fault and nobody else's."""
    return isinstance(error, TravelError) and packed.pickled is not None
