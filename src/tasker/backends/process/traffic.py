"""The tasks between one worker and its child: sent, answered, taken back. What both engines have in common.

Books. A task counts as started when it is the first of those that the child has, not when it is sent: what was sent ahead
still waits. It can't be taken out from between the others, though; so a cancellation on its way goes to the child, which
drops a task that it has not begun.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasker.backends.options import ProcessBackend
from tasker.errors import TaskCancelled, TravelError

from .ahead import Ahead
from .errors import PackedError, unpack_error
from .link import Flight, Link
from .messages import GONE, LARGE, SKIPPED, UNREAD, Answer
from .ordering import Orders
from .recycling import Wear
from .remote import RemoteContext

if TYPE_CHECKING:
    from tasker.aio.engine import AsyncEngine
    from tasker.engine import Engine


class Traffic(ABC):
    """See the module's docstring. For the worker's thread alone."""

    def __init__(self, engine: Engine | AsyncEngine, link: Link, options: ProcessBackend, args: str) -> None:
        self._shared_engine: Engine | AsyncEngine = engine
        self._link = link
        self._orders = Orders(args)
        self._ahead = Ahead(options.pipeline)
        self.wear: Wear = Wear(options)
        self.unhealthy: bool = False
        """Whether its resource is not to be used any more."""
        self.destroyed: bool = False
        """Whether it has destroyed its resource of its own accord, having been terminated."""

    @property
    def in_hand(self) -> int:
        """How many tasks the child has."""
        return len(self._link.flights)

    def spent(self) -> bool:
        """Whether the child gets no more tasks."""
        return self.unhealthy or self.wear.out()

    def lowest(self) -> int:
        """The level of the last task that the child has; -1 if it has none ahead."""
        flights = self._link.flights
        try:
            return flights[-1][2] if len(flights) > 1 else -1
        except IndexError:  # answered meanwhile
            return -1

    def room(self) -> int:
        """How many tasks are to be sent now. At least one if the child has none."""
        in_hand, engine = len(self._link.flights), self._shared_engine
        if engine.killed:
            return 0 if in_hand else 1
        queued = sum(map(len, engine.queue.levels))
        wanted = self._ahead.in_hand(queued + in_hand, len(engine.workers))
        wanted = self.wear.left(wanted)
        return 0 if 2 * in_hand > wanted else wanted - in_hand

    # -- to the child ---------------------------------------------------------------------------------------------

    def _dispatch(self, flights: Sequence[Flight], *, alone: bool = False) -> None:
        """Sends tasks; ``alone``: each pickled for itself."""
        self._orders.new_message()
        order, size = self._orders.order, 0
        orders: list[Any] = []
        sent: list[Flight] = []
        for flight in flights:
            number, future, _ = flight
            try:
                orders.append(order(number, future, alone))
            except TravelError as error:
                self._refuse(future, error)
            else:
                sent.append(flight)
                size += self._orders.size
        if not sent:
            return
        self._ahead.weighed(size / len(sent))
        try:
            self._link.order(sent, orders)
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
        with self._link.lock:
            first = self._link.begin()
            if first is None:
                return
            number, future, _ = first
            context = RemoteContext(self._shared_engine.root, self._link, number)
            self._count(future)
            cancelled = self._begins(future, context)
        if cancelled:
            context.cancel(TaskCancelled(f"{future.label} was cancelled"))

    # -- from the child -------------------------------------------------------------------------------------------

    def _land(self, number: int) -> Any:
        """The future of a task that was answered."""
        expected, future, _ = self._link.flights[0]
        if expected != number:
            raise out_of_turn(expected, number)
        self._begin()
        self._link.flights.popleft()
        self.wear.served += 1
        return future

    def _heard(self, answer: Answer) -> None:
        """What is neither a result nor an error."""
        what = answer[0]
        if what == SKIPPED:
            flight = self._link.flights.popleft()
            self.give_back([flight], first=flight[0] == self._link.begun)
        elif what == UNREAD:  # each of its tasks for itself, then
            self._dispatch(self._regained(), alone=True)
        elif what == LARGE:
            self.wear.large = True
        elif what == GONE:
            self.destroyed = True
            if answer[1] is not None:
                self._shared_engine.log.fault("on_destroy", unpack_error(answer[1]))

    def last_words(self, answers: list[Answer]) -> None:
        """What a child that is gone had still said: that it has destroyed its resource."""
        for answer in answers:
            if answer[0] == GONE:
                self._heard(answer)

    def _tried(self, healthy: bool) -> None:
        """After an error the child waits where that could have been the resource's fault."""
        if not healthy:
            self.unhealthy = True
        elif self._shared_engine.config.check_health is not None:
            self._link.judged += 1
            self._dispatch(self._regained())

    # -- back to the queue ----------------------------------------------------------------------------------------

    def take_back(self) -> None:
        """What the child has not begun goes back to the queue."""
        if self._link.flights:
            back, first = self._link.take_back()
            self.give_back(back, first=first)

    def _regained(self) -> list[Flight]:
        """What the child has not begun."""
        back, first = self._link.take_back()
        if first:
            self._uncount(back[0][1])
        return back

    def give_back(self, flights: list[Flight], *, first: bool) -> None:
        """Tasks that have not begun: each goes back to its place in the queue, unless it is not wanted any more. ``first``:
        whether the first of them is the one that was taken to have begun."""
        if first:
            self._uncount(flights[0][1])
        for _, future, level in reversed(flights):
            self._return(future, level)
        self._look_idle()

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
    def _look_idle(self) -> None:
        """Something may have been the last."""


def out_of_turn(expected: int, number: int) -> RuntimeError:
    """The child answered another task than its first: a task has forked, say, and both went on."""
    return RuntimeError(f"the child answered task {number} instead of {expected}")


def blameless(error: BaseException, packed: PackedError) -> bool:
    """Whether it is the journey's fault and nobody else's."""
    return isinstance(error, TravelError) and packed.pickled is not None
