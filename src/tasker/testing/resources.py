"""ScriptedResources: makes and destroys resources as a script says, and records what becomes of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar, overload

from .clock import ManualClock
from .faults import Hangs
from .plan import FaultPlan
from .records import ResourceRecord, ScriptedResource

R = TypeVar("R")


class ScriptedResources(Generic[R]):
    """A factory for ``Config(on_create=resources.create, on_destroy=resources.destroy)``, or ``acreate`` and ``adestroy``
    where an ``AsyncTaskManager`` shall await them.

    ``plan``: which calls meet which faults; None: none.
    ``make(number)``: makes what the tasks get, in the thread of the creation; None: a ``ScriptedResource``. Numbers begin
    at 1, and none is used twice. What it raises, the creation raises.
    ``clock``: faults that take time move it, in place of sleeping.

    All methods are thread-safe. A resource of the user's need not be hashable; it is known by its identity.
    """

    @overload
    def __init__(
        self: ScriptedResources[ScriptedResource], plan: FaultPlan | None = None, *, clock: ManualClock | None = None
    ) -> None: ...
    @overload
    def __init__(
        self, plan: FaultPlan | None = None, *, make: Callable[[int], R], clock: ManualClock | None = None
    ) -> None: ...
    def __init__(
        self,
        plan: FaultPlan | None = None,
        *,
        make: Callable[[int], Any] | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.plan: FaultPlan = plan or FaultPlan()
        """What happens to the calls that begin from now on. May be replaced; the numbers go on."""
        self._make = make or self._scripted
        self._clock = clock
        self._records: list[ResourceRecord[R]] = []
        self._calls = {"create": 0, "destroy": 0}
        self._faults: list[str] = []
        self._numbers = itertools.count(1)
        # Reentrant, because a finalizer may destroy a resource in the middle of another call.
        self._lock = threading.RLock()

    def _scripted(self, number: int) -> Any:
        return ScriptedResource(number, self)

    # -- hooks ----------------------------------------------------------------------------------------------------

    def create(self) -> R:
        """``on_create``: meets the faults of this creation, then makes a resource."""
        for fault in self._next("create"):
            fault.strike(self._clock)
        return self._made()

    async def acreate(self) -> R:
        """The same as a coroutine function."""
        for fault in self._next("create"):
            await fault.astrike(self._clock)
        return self._made()

    def destroy(self, resource: R) -> None:
        """``on_destroy``: records the destruction, then meets its faults. Raises ``AssertionError``, which ``check``
        repeats, for a resource that is in use, destroyed already, or not of these."""
        faults = self._next("destroy")
        self._end(resource)
        for fault in faults:
            fault.strike(self._clock)

    async def adestroy(self, resource: R) -> None:
        """The same as a coroutine function."""
        faults = self._next("destroy")
        self._end(resource)
        for fault in faults:
            await fault.astrike(self._clock)

    # -- in tasks -------------------------------------------------------------------------------------------------

    def using(self, resource: R) -> AbstractContextManager[R]:
        """Returns a context manager for the time in which a task uses the resource. Entering it raises
        ``AssertionError``, which ``check`` repeats, if another user has it, or after its destruction, and at once if the
        resource is not of these."""
        with self._lock:
            record = self._record_of(resource)
            if record is None:
                raise self._fault(f"{resource!r} was used, and was not made here")
        return record.used(self._lock, self._faults)

    # -- for the test ---------------------------------------------------------------------------------------------

    @property
    def records(self) -> tuple[ResourceRecord[R], ...]:
        """What became of each resource, in the order in which they were made."""
        with self._lock:
            return tuple(self._records)

    @property
    def alive(self) -> tuple[R, ...]:
        """The resources whose destruction has not begun."""
        return tuple(record.resource for record in self.records if record.alive)

    @property
    def created(self) -> int:
        """How many resources were made."""
        return len(self._records)

    @property
    def destroyed(self) -> int:
        """How many destructions have begun."""
        return sum(len(record.destroyed_in) for record in self.records)

    @property
    def attempts(self) -> int:
        """How many creations have begun, those that failed included."""
        return self._calls["create"]

    def release(self) -> None:
        """Releases everything of the plan that hangs, and will hang."""
        for fault in self.plan.every_fault():
            if isinstance(fault, Hangs):
                fault.release()

    def check(self) -> None:
        """Asserts that each resource was destroyed exactly once, was never used by two users at a time, nor after its
        destruction. To be called once the manager has ended. Raises ``AssertionError``, which lists all that is wrong."""
        with self._lock:
            wrong = list(dict.fromkeys(self._faults))
            wrong += [f"{record!r}, made in {record.created_in}, was never destroyed" for record in self._alive()]
        if wrong:
            raise AssertionError("; ".join(wrong))

    def check_plan(self) -> None:
        """Asserts that each call for which the plan has a fault of its own has begun: a fault that never happened proves
        nothing. Raises ``AssertionError``."""
        missed = [f"{call} {number}" for call, number in self.plan.numbered() if number > self._calls[call]]
        if missed:
            raise AssertionError(
                f"not reached: {', '.join(missed)}; there were {self._calls['create']} creations and"
                f" {self._calls['destroy']} destructions"
            )

    # -- inside ---------------------------------------------------------------------------------------------------

    def _next(self, call: str) -> tuple[Any, ...]:
        with self._lock:
            self._calls[call] += 1
            return self.plan.faults_of(call, self._calls[call])

    def _made(self) -> R:
        with self._lock:
            number = next(self._numbers)
        resource: R = self._make(number)  # not under the lock: it may take long, or wait for another creation
        with self._lock:
            self._records.append(ResourceRecord(number, resource))
        return resource

    def _end(self, resource: R) -> None:
        with self._lock:
            record = self._record_of(resource)
            if record is None:
                raise self._fault(f"{resource!r} was destroyed, and was not made here")
            record.destroyed_in.append(threading.current_thread().name)
            if len(record.destroyed_in) > 1:
                raise self._fault(f"{record!r} was destroyed {len(record.destroyed_in)} times")
            if record.users:
                raise self._fault(f"{record!r} was destroyed while it was in use")

    def _record_of(self, resource: R) -> ResourceRecord[R] | None:
        # The last one: a ``make`` that returns the same object again, such as None, has the last one meant.
        found = [record for record in self._records if record.resource is resource]
        alive = [record for record in found if record.alive]
        return (alive or found)[-1] if found else None

    def _alive(self) -> list[ResourceRecord[R]]:
        return [record for record in self._records if record.alive]

    def _fault(self, text: str) -> AssertionError:
        self._faults.append(text)
        return AssertionError(text)

    def __repr__(self) -> str:
        return f"<ScriptedResources: {self.created} created, {self.destroyed} destroyed>"
