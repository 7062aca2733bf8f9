"""Children whose worker is parked while it is tried whether fewer do as much."""

from __future__ import annotations

import os
import signal
from typing import Any

from support.internals import try_fewer_workers
from support.waiting import eventually, wait_until
from tasker import Decision

from . import work

CROWD = {"worker_count": 1, "max_worker_count": 3, "burst_interval": 0.05}


class AllOrFewer:
    """A policy that wants all workers, or those that are of use."""

    def decide(self, snapshot: Any, now: float, /) -> Any:
        """See ``ScalingPolicy``."""
        return Decision(snapshot.useful or snapshot.max_worker_count, "wanted")


def children(m: Any) -> set[int]:
    """The processes of its workers."""
    return {usage.pid for usage in m.stats().processes}


def test_a_parked_child_that_dies_is_noticed(make: Any) -> None:
    """Its worker wakes up and ends, none is made in its place, and the others serve when the trial is over."""
    with make(**CROWD, scaling=AllOrFewer()) as m:
        wait_until(lambda: m.stats().active_workers == 3)
        pids = children(m)
        try_fewer_workers(m, 1, 600.0)
        wait_until(lambda: m.stats().parked_workers == 2)
        serving = m.queue_task(work.pid)
        os.kill((pids - {serving}).pop(), signal.SIGKILL)
        wait_until(lambda: m.stats().lost_workers == 1)
        assert (m.stats().parked_workers, m.stats().active_workers) == (1, 1)
        assert m.queue_task(work.pid) == serving
        try_fewer_workers(m, 1, 0.0)
        wait_until(lambda: m.stats().active_workers == 3)
        assert m.stats().resources.created == 4


async def test_a_parked_child_that_dies_is_noticed_in_a_loop(amake: Any) -> None:
    """The same."""
    async with amake(**CROWD, scaling=AllOrFewer()) as m:
        await eventually(lambda: m.stats().active_workers == 3)
        pids = children(m)
        try_fewer_workers(m, 1, 600.0)
        await eventually(lambda: m.stats().parked_workers == 2)
        serving = await m.queue_task(work.pid)
        os.kill((pids - {serving}).pop(), signal.SIGKILL)
        await eventually(lambda: m.stats().lost_workers == 1)
        assert (m.stats().parked_workers, m.stats().active_workers) == (1, 1)
        assert await m.queue_task(work.pid) == serving
        try_fewer_workers(m, 1, 0.0)
        await eventually(lambda: m.stats().active_workers == 3)
        assert m.stats().resources.created == 4


def test_a_busy_child_is_parked_after_what_it_was_sent(make: Any) -> None:
    """What has been sent to it is done first, and nothing is sent to it afterwards."""
    with make(**CROWD, scaling=AllOrFewer()) as m:
        wait_until(lambda: m.stats().active_workers == 3)
        futures = [m.submit(work.pid) for _ in range(2_000)]
        try_fewer_workers(m, 1, 600.0)
        wait_until(lambda: m.stats().parked_workers == 2)
        for future in futures:
            future.result(30)
        serving: set[int] = set()
        while m.stats().parked_workers != 2 or not serving:  # what the trial measures may have ended it
            try_fewer_workers(m, 1, 600.0)
            wait_until(lambda: m.stats().parked_workers == 2)
            serving = {m.queue_task(work.pid) for _ in range(50)}
        assert len(serving) == 1
        try_fewer_workers(m, 1, 0.0)
        wait_until(lambda: m.stats().active_workers == 3)
        assert m.stats().resources.created == 3
