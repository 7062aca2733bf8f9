"""A chain of callbacks, each of which ends the next task, may have any length."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pytest

from support.waiting import eventually

LINKS = 2000


async def held(engine: Any, m: Any) -> Any:
    """Return the gate at which the only worker is held."""
    gate = engine.gate()
    await m.submit(engine.kit.holds(gate))
    await gate.arrivals(1)
    return gate


@pytest.mark.parametrize("links", [15, 30, sys.getrecursionlimit() - 20, LINKS])
async def test_each_cancels_the_next(engine: Any, kit: Any, links: int) -> None:
    """All tasks of the chain end, and each done callback is called once."""
    called: list[int] = []
    async with engine.manager() as m:
        gate = await held(engine, m)
        futures = [await m.submit(kit.returns()) for _ in range(links)]
        for n, future in enumerate(futures):
            if n + 1 < links:
                future.add_done_callback(lambda _, after=futures[n + 1]: after.cancel())
            future.add_done_callback(lambda _, n=n: called.append(n))
        assert futures[0].cancel()
        if not engine.blocking:  # there, all were called before cancel() returned
            await eventually(lambda: len(called) == links)
        assert [future for future in futures if not future.cancelled()] == []
        assert sorted(called) == list(range(links))
        assert m.stats().user_errors == 0
        assert m.stats().done_tasks == links
        gate.open()
    assert m.stats().done_tasks == m.stats().accepted_tasks == links + 1


@pytest.mark.parametrize("links", [15, LINKS])
async def test_each_cancels_the_next_in_its_callback(engine: Any, kit: Any, links: int) -> None:
    """The same with the `callback` that `submit` takes."""
    called: list[int] = []
    async with engine.manager() as m:
        gate = await held(engine, m)
        futures: list[Any] = []  # the last link first, since each has to know the one after it

        def ends(n: int, after: Any) -> Any:
            def callback(result: Any, error: Any) -> None:
                called.append(n)
                if after is not None:
                    after.cancel()

            return callback

        for n in range(links):
            futures.append(await m.submit(kit.returns(), callback=ends(n, futures[-1] if futures else None)))
        assert futures[-1].cancel()
        await eventually(lambda: len(called) == links)
        assert [future for future in futures if not future.cancelled()] == []
        assert sorted(called) == list(range(links))
        assert m.stats().user_errors == 0
        gate.open()


async def test_a_callback_that_raises_deep_in_the_chain(engine: Any, kit: Any) -> None:
    """Its error is logged and counted, and the chain goes on."""
    async with engine.manager() as m:
        gate = await held(engine, m)
        futures = [await m.submit(kit.returns()) for _ in range(100)]
        for before, after in pairwise(futures):
            before.add_done_callback(lambda _: 1 / 0)
            before.add_done_callback(lambda _, after=after: after.cancel())
        assert futures[0].cancel()
        await eventually(lambda: m.stats().user_errors == 99)
        assert all(future.cancelled() for future in futures)
        gate.open()


async def test_a_worker_goes_down_the_chain(engine: Any, kit: Any) -> None:
    """The chain may begin with a task that ends by itself: the worker that runs its callbacks survives."""
    async with engine.manager() as m:
        gate = engine.gate()
        first = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        futures = [first, *[await m.submit(kit.returns()) for _ in range(LINKS)]]
        for before, after in pairwise(futures):
            before.add_done_callback(lambda _, after=after: after.cancel())
        gate.open()
        await first.result()
        assert await m.queue_task(kit.returns("next")) == "next"
        await eventually(lambda: m.stats().done_tasks == LINKS + 2)
        # On a loop the worker goes on while the chain runs, so the first links may be done before they are cancelled.
        assert all(future.done() for future in futures)
        assert m.stats().user_errors == m.stats().lost_workers == 0
