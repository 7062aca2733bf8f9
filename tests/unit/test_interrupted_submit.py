"""Tests Ctrl-C at each moment of ``submit``: the task is queued and runs, or it is not accepted."""

from __future__ import annotations

from typing import Any

import pytest

from support.gates import Gate
from support.observers import RecordingCollector
from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import Config, Priority, QueueFull, TaskManager, TaskTimeout
from tasker.core.counters import Counters
from tasker.threads import future_log as tasklog
from tasker.threads.queue_slots import QueueSlots, SlotWait
from unit.futures import Thread
from unit.interrupts import Moments, each_moment

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "urgent": ({}, {"priority": Priority.HIGH}),
    "with a callback": ({}, {"callback": lambda result, error: None}),
    "with a collector": ({"collector": RecordingCollector()}, {}),
    "bounded": ({"max_queue_size": 100}, {}),
}


def build(**config: Any) -> tuple[TaskManager[Any], ScriptedResources]:
    """Makes a manager with one worker and nothing else."""
    resources = ScriptedResources()
    options = {"worker_count": 1, "max_worker_count": 1, "resource_pool_size": 0, "name": "struck", **config}
    return TaskManager(Config(on_create=resources.create, on_destroy=resources.destroy, **options)), resources


@pytest.mark.parametrize("way", WAYS)
def test_queued_or_not_accepted(way: str) -> None:
    """Whatever the moment, exactly the tasks that count as accepted run, and stop() ends."""
    config, options = WAYS[way]
    manager, resources = build(**config)
    ran: list[None] = []
    struck = []
    for where, future, error in each_moment(lambda: manager.submit(lambda ctx, resource: ran.append(None), **options)):
        if where is None:
            assert future.result(20) is None
            continue
        struck.append(where)
        # An interrupt inside a hook of the user is logged as the hook's error, and the task is queued.
        assert isinstance(error, KeyboardInterrupt) or "record_arrival" in where or "_guarded" in where, where
    flow = manager._engine.counters.flow
    wait_until(lambda: not flow().outstanding, what=f"all that was accepted has ended: {flow()}, {struck}")
    assert (flow().queued, flow().running, flow().done) == (0, 0, len(ran))
    assert len(struck) > 5, "it was interrupted at all"
    assert tasklog.opening == {}, "nothing is kept of what was not accepted"
    assert Call(manager.stop).outcome(20).killed is False
    resources.check_all_ended_once()


def test_the_next_task_has_its_token() -> None:
    """After a submit was interrupted on its way into the queue, the number of tokens is still that of the tasks."""
    manager, _ = build()
    gate = Gate()
    manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    for _ in each_moment(lambda: manager.submit(lambda ctx, resource: None)):
        queue = manager._engine.queue
        assert queue.tokens.qsize() == len(queue.waiting())
    gate.open()
    Call(manager.stop).outcome(20)


@pytest.mark.parametrize(
    "functions",
    [
        pytest.param((TaskManager.submit,), id="submit itself"),
        pytest.param((QueueSlots.acquire,), id="acquire"),
        pytest.param((QueueSlots._take_or_line_up,), id="taking"),
    ],
)
def test_a_place_goes_back(functions: tuple[Any, ...]) -> None:
    """Ctrl-C while or after a slot of a bounded queue is acquired releases the slot."""
    manager, _ = build(max_queue_size=3)
    gate = Gate()
    manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)

    def submit() -> None:
        future = manager.submit(lambda ctx, resource: None, block=False)
        assert future.cancel()

    for where, _, error in each_moment(submit, *functions):
        assert where is None or isinstance(error, KeyboardInterrupt), (where, error)
        for waiting in manager._engine.queue.waiting():  # it was queued, but its caller has no future
            waiting.cancel()
    for _ in range(3):
        try:
            manager.submit(lambda ctx, resource: None, block=False)
        except QueueFull:
            break
    else:
        with pytest.raises(QueueFull):
            manager.submit(lambda ctx, resource: None, block=False)
    queued = len(manager._engine.queue.waiting())
    gate.open()
    Call(manager.stop).outcome(20)
    assert queued == 3, "all places could be had again"


def test_every_number_that_was_taken_is_accounted_for() -> None:
    """A submit that is interrupted between taking a number and using it gives the number back."""
    manager, _ = build()
    books: Counters = manager._engine.counters
    for where, _, error in each_moment(lambda: manager.submit(lambda ctx, resource: None)):
        assert where is None or isinstance(error, KeyboardInterrupt)
    wait_until(lambda: books.flow().outstanding == 0, what=str(books.flow()))
    assert books.numbers.value() == books.refused + books.flow().accepted
    assert books.refused > 0
    Call(manager.stop).outcome(20)


def test_the_lock_of_the_places_is_let_go() -> None:
    """Ctrl-C while a slot is released leaves no lock held."""
    places = QueueSlots(1)
    for where, _, _ in each_moment(places.release, QueueSlots.release):
        Thread(places.release).join()
        assert where is None or where


@pytest.mark.parametrize("ended_by", ["its timeout", "a slot"])
def test_a_wait_for_a_slot(ended_by: str) -> None:
    """Ctrl-C at any moment of the wait leaves nobody in the line: the next slot is not given to a call that has ended."""
    struck = []
    steps = (QueueSlots.acquire, QueueSlots._take_or_line_up, QueueSlots._leave_line)
    places = QueueSlots(1)

    def enters(wait: SlotWait) -> None:
        if ended_by == "a slot":
            places.release()

    def waits() -> None:
        nonlocal slot
        slot = SlotWait()
        timeout = 0.001 if ended_by == "its timeout" else None
        try:
            places.acquire(True, timeout, enters, lambda ticket: None, slot)
        except QueueFull:
            pass
        finally:
            if slot.served:  # as ``unsubmitted`` does
                places.release()

    slot = SlotWait()
    for number in range(200):
        places = QueueSlots(1)
        places.acquire(False, None, enters, lambda ticket: None)
        moments = Moments(number, steps)
        try:
            moments.call(waits)
        except KeyboardInterrupt:
            pass
        if not places._free:  # nobody was served
            places.release()
        assert places._free == 1, moments.struck
        if moments.struck is None:
            break
        struck.append(moments.struck)
    assert len(struck) > 8


def test_a_deadline_concerns_only_what_was_accepted() -> None:
    """What was struck before it was queued is not ended at its deadline, as long as anyone keeps it: it would count twice."""
    manager, _ = build(max_queue_size=100, task_deadline=0.01)
    gate = Gate()
    held = manager.submit(lambda ctx, resource: gate.pass_through(), deadline=1000.0)
    gate.wait_arrivals(1)
    told: list[BaseException | None] = []
    kept = []

    def tell(result: object, error: BaseException | None) -> None:
        told.append(error)

    for where, future, error in each_moment(lambda: manager.submit(lambda ctx, resource: None, callback=tell)):
        assert where is None or isinstance(error, KeyboardInterrupt)
        kept.append((future, error))  # the traceback holds the future
    books, slots = manager._engine.counters, manager._engine.queue_slots
    assert slots is not None
    accepted = books.flow().accepted
    assert 1 < accepted < len(kept)
    wait_until(lambda: kept[-1][0].done(), what="the last one has come to its deadline, and so have all")
    gate.open()
    assert held.result(20) is None
    wait_until(lambda: books.flow().done == accepted, what=str(books.flow()))
    assert slots._free == 100
    assert Call(manager.stop).outcome(20).killed is False
    assert books.flow().done == accepted
    assert [type(error) for error in told] == [TaskTimeout] * (accepted - 1)
