"""Ctrl-C at each moment of ``submit`` in the thread of the loop: the task is queued and runs, or it is not accepted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from unit.interrupts import each_moment

from support.gates import Gate
from support.observers import RecordingCollector
from support.waiting import WAIT, eventually
from tasker import Priority, QueueFull, TaskTimeout
from tasker.aio.lending import Lending
from tasker.aio.owner import AsyncFutureOwner
from tasker.aio.queue import AsyncTaskQueue
from tasker.aio.queue_slots import AsyncQueueSlots
from tasker.aio.submitting import Submitting
from tasker.core.hooks import Hooks
from tasker.core.limits import TimeLimits

from .tasks import idle, quick

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "urgent": ({}, {"priority": Priority.HIGH}),
    "with a callback": ({}, {"callback": lambda result, error: None}),
    "with a collector": ({"collector": RecordingCollector()}, {}),
    "bounded": ({"max_queue_size": 1000}, {}),
    "with a limit": ({}, {"deadline": 1000.0}),
}
# Not what they call: a future of asyncio's that is struck while it wakes somebody has not done that, whoever has called it.
STEPS = (
    Submitting.submit,
    AsyncFutureOwner.admit,
    AsyncFutureOwner.limit,
    AsyncFutureOwner.keep_deadline,
    AsyncQueueSlots.check,
    AsyncQueueSlots.take,
    AsyncTaskQueue.wake,
    Hooks.arrival,
    TimeLimits.filled_in,
    TimeLimits.of_submission,
    TimeLimits.keep_deadline,
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("busy", [False, True], ids=["idle worker", "busy worker"])
async def test_queued_or_not_accepted(make: Any, way: str, busy: bool) -> None:
    """Whatever the moment, exactly the tasks that count as accepted run, without another submission, and stop() ends."""
    config, options = WAYS[way]
    gate, ran, struck = Gate(), [], []

    async def runs(ctx: Any, resource: object) -> None:
        ran.append(None)

    m = await make(**config)
    await idle(m)
    if busy:
        held = m.submit(lambda ctx, resource: gate.pass_through())
        await gate.arrivals(1)
    for where, future, error in each_moment(lambda: m.submit(runs, **options), *STEPS):
        # An interrupt inside a hook of the user is logged as the hook's error, and the task is queued.
        assert where is None or isinstance(error, KeyboardInterrupt) or future is not None
        struck.append(where)
        if not busy:
            flow = m._engine.counters.flow()
            await eventually(lambda: not m._engine.counters.flow().outstanding, what=f"all has run: {where} {flow}")
            await idle(m)
    if busy:
        gate.open()
        await held
    await eventually(lambda: not m._engine.counters.flow().outstanding, what=f"{m._engine.counters.flow()}")
    assert m.stats().done_tasks == len(ran) + busy
    assert len(struck) > 5
    assert not (await asyncio.wait_for(m.stop(), WAIT)).killed


async def test_each_moment_of_what_a_caller_begins(make: Any) -> None:
    """As above, where an idle worker is lent to the caller."""
    lines = set()
    m = await make()
    await m.queue_task(quick)
    await idle(m)
    for where, _, _ in each_moment(lambda: m.queue_task(quick).send(None), Lending.begin, Lending._accepted):
        await eventually(lambda: not m._engine.counters.flow().outstanding, what=f"it has run: {where}")
        await idle(m)
        lines.add(where)
    assert len(lines) > 5
    assert not (await asyncio.wait_for(m.stop(), WAIT)).killed


async def test_a_slot_goes_back(make: Any) -> None:
    """What was not accepted holds no slot of a bounded queue."""
    gate, bound = Gate(), 3
    m = await make(max_queue_size=bound)
    held = m.submit(lambda ctx, resource: gate.pass_through())
    await gate.arrivals(1)
    for _ in each_moment(lambda: m.submit(quick).cancel(), *STEPS):
        for future in m._engine.queue.waiting():  # it was queued, but its caller has no future
            future.cancel()
    for _ in range(bound):
        m.submit(quick)
    with pytest.raises(QueueFull):
        m.submit(quick)
    gate.open()
    await held
    assert (await m.stop()).completed_tasks == bound + 1


@pytest.mark.parametrize("how", ["by default", "of its own"])
async def test_a_deadline_concerns_only_what_was_accepted(make: Any, how: str) -> None:
    """What was struck before it was queued is not ended at its deadline, as long as anyone keeps it: it would count twice."""
    gate = Gate()
    config, options = ({"task_deadline": 0.01}, {}) if how == "by default" else ({}, {"deadline": 0.01})
    m = await make(max_queue_size=1000, **config)
    held = m.submit(lambda ctx, resource: gate.pass_through(), deadline=1000.0)
    await gate.arrivals(1)
    told: list[BaseException | None] = []
    kept = []

    def tell(result: object, error: BaseException | None) -> None:
        told.append(error)

    for where, future, error in each_moment(lambda: m.submit(quick, callback=tell, **options), *STEPS):
        assert where is None or isinstance(error, KeyboardInterrupt)
        kept.append((future, error))  # the traceback holds the future
    books, slots = m._engine.counters, m._engine.queue_slots
    accepted = books.flow().accepted
    assert 1 < accepted < len(kept)
    with pytest.raises(TaskTimeout):  # and so have all others come to their deadlines, which were before it
        await kept[-1][0]
    await eventually(lambda: len(told) >= accepted - 1)
    gate.open()
    await held
    assert not (await m.stop()).killed
    assert books.flow().done == books.flow().accepted == accepted
    assert slots._free == 1000
    assert [type(error) for error in told] == [TaskTimeout] * (accepted - 1)
