"""Submitters who have passed the door when it closes behind them."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import QueueFull, ShutdownError
from tasker.threads.queue_slots import QueueSlots


def nobody(*_: object) -> None:
    """Nobody is told of a wait."""


def test_who_comes_to_closed_places_goes_on() -> None:
    """QueueSlots that were closed let everybody through, who came before and who comes after."""
    places = QueueSlots(1)
    places.acquire(False, None, nobody, nobody)
    early = Call(places.acquire, True, None, nobody, nobody)
    wait_until(lambda: places._waiting)
    places.close()
    early.outcome()
    for _ in range(3):
        Call(places.acquire, True, None, nobody, nobody).outcome()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_who_passed_the_door_before_it_closed_is_refused(threads: Any, end: str) -> None:
    """A submit that found the manager open, and lines up for a place after it was closed, raises ShutdownError."""
    gate = threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None)
        places = m._engine.queue_slots
        real = places.acquire
        ends: list[Call] = []

        def closed_meanwhile(*args: Any) -> None:
            if not ends:
                ends.append(Call(getattr(m, end), 20))
                wait_until(lambda: places._closed)
            real(*args)

        places.acquire = closed_meanwhile
        late = [Call(m.submit, lambda ctx, resource: None) for _ in range(3)]
        for call in late:
            with pytest.raises(ShutdownError):
                call.outcome(20)
        gate.open()
        ends[0].outcome()
        assert m.stats().accepted_tasks == m.stats().done_tasks == 2


def test_an_executor_waits_for_a_submit_that_waits_for_a_place(threads: Any) -> None:
    """shutdown() of a view waits for a submit that is blocked on the full queue, and for its task."""
    gate, ran = threads.gate(), threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None)
        view = m.as_executor()
        blocked = Call(view.submit, ran.arrive)
        wait_until(lambda: m._engine.queue_slots._waiting)
        shutdown = Call(view.shutdown)
        wait_until(lambda: view._closed)
        with pytest.raises(RuntimeError, match="after shutdown"):
            view.submit(ran.arrive)
        with pytest.raises(AssertionError, match="did not return"):
            shutdown.outcome(0.2)
        gate.open()
        shutdown.outcome()
        assert ran.arrived == 1, "it had run when shutdown() returned"
        assert blocked.outcome().done()


def test_an_executor_forgets_a_submit_that_failed(threads: Any) -> None:
    """shutdown() does not wait for a submit that was refused."""
    with threads.build() as m:
        view = m.as_executor()
        m.stop()
        with pytest.raises(ShutdownError):
            view.submit(print)
        Call(view.shutdown).outcome(10)


def test_a_refused_submit_keeps_no_place(threads: Any) -> None:
    """Refused or timed out, a submit leaves the number of places as it was."""
    gate = threads.gate()
    with threads.build(max_queue_size=2) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        for _ in range(2):
            m.submit(lambda ctx, resource: None)
        for options in ({"block": False}, {"queue_timeout": 0.0}, {"queue_timeout": 0.01}):
            with pytest.raises(QueueFull):
                m.submit(lambda ctx, resource: None, **options)
        gate.open()
        wait_until(lambda: m._engine.queue_slots._free == 2, what="both places are free again")
