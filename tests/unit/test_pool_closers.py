"""Tests two threads that close the pool of ``run_task`` at the same time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from support.gates import Gate
from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import Config, ShutdownError
from tasker.core.counters import Counters
from tasker.logs import GuardedLogger
from tasker.threads.resource_pool import Lease, ResourcePool
from tasker.threads.resources import Maker, ResourceHandle


class NoEngine:
    """An engine that is not asked anything here."""

    view: Any = None
    now = staticmethod(monotonic)

    def report(self, event: object) -> None:
        """Nothing is reported here."""
        raise AssertionError(event)


class Contended(deque[ResourceHandle]):
    """Lets another call step in just before the last element is looked at."""

    def __init__(self, items: Any, step: Callable[[], object]) -> None:
        super().__init__(items)
        self._steps = [step]

    def __getitem__(self, index: Any) -> ResourceHandle:
        """Returns an element, if it is still there."""
        if self._steps:
            self._steps.pop()()
        return super().__getitem__(index)


def build(size: int) -> tuple[ResourcePool, ScriptedResources, Counters]:
    """Makes a filled pool."""
    resources, books = ScriptedResources(), Counters()
    config = Config(worker_count=1, on_create=resources.create, on_destroy=resources.destroy)
    pool = ResourcePool(
        NoEngine(), Maker(config, books, GuardedLogger(config.logger, "pool", lambda: None)), size, None
    )
    pool.fill()
    return pool, resources, books


@pytest.mark.parametrize("size", [1, 3])
def test_the_other_closer_is_faster(size: int) -> None:
    """A call that finds that the other one has taken the last resource returns, and each is destroyed once."""
    pool, resources, books = build(size)
    pool._idle = Contended(pool._idle, pool.close)
    pool.close()
    assert books.ledger.destroyed == size
    resources.check_all_ended_once()


def test_a_resource_that_has_just_gone() -> None:
    """It is idle no more, and another thread is about to end it: whatever closes the pool meanwhile waits for that."""
    pool, resources, books = build(2)
    end, gate = pool._maker.end, Gate()
    lost = pool._idle[0]

    def ending(held: ResourceHandle) -> None:
        if held is lost:
            gate.pass_through()
        end(held)

    pool._maker.end = ending  # type: ignore[method-assign]
    losing = Call(pool.lost, lost)
    gate.wait_arrivals(1)
    closing = Call(pool.close)
    wait_until(lambda: pool._going[0]._log, what="it waits")
    assert (pool.emptied, books.ledger.destroyed) == (False, 1)
    gate.open()
    closing.outcome(20)
    assert losing.outcome(20)
    assert (pool.emptied, books.ledger.destroyed) == (True, 2)
    resources.check_all_ended_once()


def test_the_other_closer_comes_while_one_is_ended() -> None:
    """If the second thread comes while a resource is destroyed, the two together destroy all, once each."""
    pool, resources, books = build(4)
    end, steps = pool._maker.end, [pool.close]

    def ending(held: ResourceHandle) -> None:
        if steps:
            steps.pop()()
        end(held)

    pool._maker.end = ending  # type: ignore[method-assign]
    pool.close()
    assert books.ledger.destroyed == 4
    resources.check_all_ended_once()


def test_what_is_lent_is_ended_when_it_comes_back() -> None:
    """A closed pool lends no resource, keeps none and lacks none."""
    pool, resources, books = build(1)
    loan = Lease()
    pool.acquire(loan)
    pool.close()
    pool.close()
    with pytest.raises(ShutdownError):
        pool.acquire(Lease())
    pool.release(loan, healthy=True)
    assert not loan.lacks
    pool.release(loan, healthy=True)
    assert not loan.lacks, "a second time gives back nothing"
    assert (books.ledger.destroyed, pool.available) == (1, 0)
    resources.check_all_ended_once()


def test_a_closer_in_another_thread_waits() -> None:
    """It returns once the last idle resource is destroyed, though it has found none."""
    pool, resources, books = build(1)
    end, gate = pool._maker.end, Gate()

    def ending(held: ResourceHandle) -> None:
        gate.pass_through()
        end(held)

    pool._maker.end = ending  # type: ignore[method-assign]
    first = Call(pool.close)
    gate.wait_arrivals(1)
    second = Call(pool.close)
    assert not second.returned
    assert (pool.closed, pool.emptied) == (True, False)
    gate.open()
    second.outcome()
    assert (books.ledger.destroyed, pool.emptied) == (1, True)
    first.outcome()
    resources.check_all_ended_once()


def test_a_closer_that_is_interrupted() -> None:
    """The next one destroys what is left."""
    pool, resources, books = build(3)
    end, interrupts = pool._maker.end, [KeyboardInterrupt()]

    def ending(held: ResourceHandle) -> None:
        end(held)
        if interrupts:
            raise interrupts.pop()

    pool._maker.end = ending  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    assert (books.ledger.destroyed, pool.emptied) == (1, False)
    pool.close()
    assert (books.ledger.destroyed, pool.emptied) == (3, True)
    resources.check_all_ended_once()


class ChangesWhileRead(deque[ResourceHandle]):
    """Changed by another thread in the moment in which it is read for the first time."""

    changed = False

    def __iter__(self) -> Any:
        """Not in one step."""
        if not self.changed:
            self.changed = True
            raise RuntimeError("deque mutated during iteration")
        return super().__iter__()


def test_the_available_ones_while_others_change() -> None:
    """`stats()` asks for their number while other threads lend and return them, without the GIL in the same moment."""
    pool, _, _ = build(3)
    pool._idle = ChangesWhileRead(pool._idle)
    assert pool.available == 3
    pool.close()


def test_closed_while_one_is_renewed() -> None:
    """The close takes an idle resource out in the moment in which the renewal looks through them: the new one is destroyed, too."""
    pool, resources, books = build(3)
    pool.ages.generation += 1
    make, end, is_outdated, gate = pool._maker.make, pool._maker.end, pool._is_outdated, Gate()
    closing: list[Call] = []
    looks: list[ResourceHandle] = []

    def ending(held: ResourceHandle) -> None:
        if threading.current_thread() is not threading.main_thread():
            gate.pass_through()
        end(held)

    def making() -> ResourceHandle:
        closing.append(Call(pool.close))
        gate.wait_arrivals(1)
        looks.clear()
        return make()

    def looking(handle: ResourceHandle) -> bool:
        looks.append(handle)
        if closing and len(looks) == 2:
            gate.open()
            wait_until(lambda: len(pool._idle) < 3)
        return is_outdated(handle)

    pool._maker.make, pool._maker.end = making, ending  # type: ignore[method-assign]
    pool._is_outdated = looking  # type: ignore[method-assign]
    pool.renew_idle()
    closing[0].outcome(20)
    assert (books.ledger.created, books.ledger.destroyed) == (4, 4)
    resources.check_all_ended_once()


class TakenInBetween(deque[ResourceHandle]):
    """Another thread takes an element out between the look for it and its removal."""

    def __contains__(self, handle: object) -> bool:
        """It is there, and then it is not."""
        found = super().__contains__(handle)
        self.clear()
        return found


def test_a_resource_that_goes_while_it_is_closed() -> None:
    """The close ends it, and waits for nobody else."""
    pool, resources, books = build(1)
    handle = pool._idle[0]
    pool._idle = TakenInBetween(pool._idle)
    assert not pool.lost(handle)
    pool._maker.end(handle)
    Call(pool.close).outcome(20)
    assert (pool.emptied, books.ledger.destroyed) == (True, 1)
    resources.check_all_ended_once()
