"""A chain of callbacks, each of which ends the next task, however long."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import pytest

LINKS = 2000


def held(threads: Any, m: Any) -> Any:
    """The gate at which the only worker is held."""
    gate = threads.gate()
    m.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    return gate


@pytest.mark.parametrize("links", [15, 30, sys.getrecursionlimit() - 20, LINKS])
def test_each_cancels_the_next(threads: Any, links: int) -> None:
    """All tasks of the chain end, every callback of each is called once, in order, before cancel() returns."""
    told: list[int] = []
    with threads.build() as m:
        gate = held(threads, m)
        futures = [m.submit(lambda ctx, resource: None) for _ in range(links)]
        for n, future in enumerate(futures):
            if n + 1 < links:
                future.add_done_callback(lambda _, after=futures[n + 1]: after.cancel())
            future.add_done_callback(lambda _, n=n: told.append(n))
        assert futures[0].cancel()
        assert [future for future in futures if not future.cancelled()] == []
        assert sorted(told) == list(range(links))
        assert m.stats().user_errors == 0
        assert m.stats().done_tasks == links
        gate.open()
    assert m.stats().done_tasks == m.stats().accepted_tasks == links + 1


def test_a_callback_that_raises_deep_in_the_chain(threads: Any) -> None:
    """What one of them raises is logged and counted, and the chain goes on."""
    with threads.build() as m:
        gate = held(threads, m)
        futures = [m.submit(lambda ctx, resource: None) for _ in range(100)]
        for before, after in pairwise(futures):
            before.add_done_callback(lambda _: 1 / 0)
            before.add_done_callback(lambda _, after=after: after.cancel())
        assert futures[0].cancel()
        assert all(future.cancelled() for future in futures)
        assert m.stats().user_errors == 99
        gate.open()


def test_a_worker_goes_down_the_chain(threads: Any) -> None:
    """The chain may hang on a task's end as well: the worker that brings it survives."""
    with threads.build() as m:
        gate = threads.gate()
        first = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        futures = [first, *(m.submit(lambda ctx, resource: None) for _ in range(LINKS))]
        for before, after in pairwise(futures):
            before.add_done_callback(lambda _, after=after: after.cancel())
        gate.open()
        first.result(20)
        assert m.submit(lambda ctx, resource: "next").result(20) == "next"
        assert all(future.cancelled() for future in futures[1:])
        assert m.stats().lost_workers == 0
