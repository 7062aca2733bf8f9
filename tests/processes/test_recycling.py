"""Children that are replaced in time, and what they are allowed."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections import Counter
from typing import Any

import psutil
import pytest

from support.files_between_processes import Notes
from support.waiting import wait_until

from . import work

MEGABYTE = 1024 * 1024


def test_after_so_many_tasks(make: Any, notes: Notes) -> None:
    """The third task is a child's last; its resource is destroyed in it, and none is lost."""
    with make(process={"max_tasks": 3}) as m:
        pids = [m.queue_task(work.pid) for _ in range(8)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6, 6]
    assert m.stats().resources.lost == 0
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


def test_one_task_each(make: Any, notes: Notes) -> None:
    """max_tasks=1: no two tasks in the same process."""
    with make(worker_count=2, process={"max_tasks": 1}) as m:
        futures = [m.submit(work.pid, once=True) for _ in range(12)]
        assert len({future.result(60) for future in futures}) == 12


def test_a_long_queue_of_short_tasks(make: Any, notes: Notes) -> None:
    """Nothing that was sent ahead runs beyond the limit, twice or out of sight."""
    with make(worker_count=2, process={"max_tasks": 20}) as m:

        def where(ctx: Any, thing: work.Thing, number: int) -> int:
            work.note(ctx, thing, number)
            return os.getpid()

        futures = [m.submit(where, n, once=True) for n in range(400)]
        pids = Counter(future.result(60) for future in futures)
    assert max(pids.values()) <= 20
    assert sorted(notes.numbers("start")) == list(range(400))
    assert m.stats().resources.lost == 0


def test_failed_tasks_count(make: Any) -> None:
    """A task that failed was a task."""
    with make(process={"max_tasks": 2}) as m:
        first = m.queue_task(work.pid)
        with pytest.raises(ValueError, match="failed"):
            m.queue_task(work.raise_kind, ValueError, "failed")
        assert m.queue_task(work.pid) != first


def test_after_so_long(make: Any, notes: Notes) -> None:
    """A child that is older than max_age is replaced between two tasks, and gracefully."""
    with make(process={"max_age": 0.3}) as m:
        first = m.queue_task(work.pid)
        wait_until(lambda: m.queue_task(work.pid) != first)
        wait_until(lambda: str(first) in notes.lines("destroy"))
        assert m.stats().resources.lost == 0


def test_too_old_when_the_next_task_comes(make: Any) -> None:
    """A child that became too old while it was idle gets no task any more, nor a resource of the pool."""
    with make(process={"max_age": 0.3}, resource_pool_size=1) as m:
        first, pooled = m.queue_task(work.pid), m.run_task(work.pid)
        born = time.monotonic()
        wait_until(lambda: time.monotonic() > born + 0.4)
        assert m.queue_task(work.pid) != first
        assert m.run_task(work.pid) != pooled


async def test_too_old_in_asyncio(amake: Any) -> None:
    """The same there."""
    async with amake(process={"max_age": 0.3}, resource_pool_size=1) as m:
        first, pooled = await m.queue_task(work.pid), await m.run_task(work.pid)
        await asyncio.sleep(0.4)
        assert await m.queue_task(work.pid) != first
        assert await m.run_task(work.pid) != pooled


def test_age_does_not_interrupt(make: Any) -> None:
    """A task that takes longer than max_age is not disturbed."""
    with make(process={"max_age": 0.2}) as m:
        assert m.queue_task(lambda ctx, thing: (time.sleep(0.8), ctx.cancelled)[1]) is False


def test_after_so_much_memory(make: Any, notes: Notes) -> None:
    """A child that keeps more than max_rss is replaced, gracefully; one below is kept."""
    with make() as m:
        usual = psutil.Process(m.queue_task(work.pid)).memory_info().rss
    with make(process={"max_rss": usual + 150 * MEGABYTE}) as m:
        first = m.queue_task(work.hoard, 10 * MEGABYTE)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert m.queue_task(work.pid) == first
        assert m.queue_task(work.hoard, 250 * MEGABYTE) == first
        wait_until(lambda: m.queue_task(work.pid) != first)
        wait_until(lambda: str(first) in notes.lines("destroy"))
        assert m.stats().resources.lost == 0


def test_recycling_under_load_loses_nothing(make: Any, notes: Notes) -> None:
    """All three reasons at once, failing on_destroy included."""

    def failing(thing: work.Thing) -> None:
        thing.end()
        raise OSError("already gone")

    with make(on_destroy=failing, worker_count=2, process={"max_tasks": 15, "max_age": 0.1, "max_rss": MEGABYTE}) as m:
        futures = [m.submit(work.note, n, once=True) for n in range(60)]
        assert [future.result(100) for future in futures] == list(range(60))
    assert sorted(notes.numbers("start")) == list(range(60))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_affinity(make: Any, method: str) -> None:
    """Children run on the given processors alone; this process is left as it is."""
    before = os.sched_getaffinity(0)
    cpu = max(before)
    with make(process={"affinity": [cpu], "start_method": method}) as m:
        assert m.queue_task(lambda ctx, thing: os.sched_getaffinity(0)) == {cpu}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("process", [{"affinity": [100_000]}, {"nice": 2**40}], ids=["affinity", "nice"])
def test_what_the_system_refuses(make: Any, process: dict[str, Any]) -> None:
    """The error of the resource says what was asked for."""
    with make(process=process, ready_timeout=2) as m:
        error = m.submit(work.pid).exception(30)
    shown = "".join(traceback.format_exception(error))
    assert f"{next(iter(process))}=" in shown, shown


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_niceness(make: Any, method: str) -> None:
    """`nice` is added to that of this process, which is left as it is."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with make(process={"nice": 3, "start_method": method}) as m:
        assert m.queue_task(lambda ctx, thing: os.getpriority(os.PRIO_PROCESS, 0)) == min(before + 3, 19)
    with make(process={"start_method": method}) as m:
        assert m.queue_task(lambda ctx, thing: os.getpriority(os.PRIO_PROCESS, 0)) == before
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_usage(make: Any) -> None:
    """stats() tells of each worker's process: name, process id, memory, processor time."""
    with make(name="crew", worker_count=2) as m:
        wait_until(lambda: m.stats().active_workers == 2)
        wait_until(lambda: len(m.stats().processes) == 2)
        busy = m.queue_task(work.burn, 0.3)
        wait_until(lambda: any(one.pid == busy and one.cpu_seconds >= 0.25 for one in m.stats().processes))
        usage = {one.worker: one for one in m.stats().processes}
        assert sorted(usage) == ["crew-1", "crew-2"]
        for one in usage.values():
            assert one.rss > 2 * MEGABYTE
            assert psutil.Process(one.pid).is_running()
        kept = m.queue_task(work.hoard, 60 * MEGABYTE)
        before = next(one.rss for one in usage.values() if one.pid == kept)
        wait_until(
            lambda: any(one.pid == kept and one.rss > before + 40 * MEGABYTE for one in m.stats().processes),
            what="the memory that it took shows",
        )
    assert m.stats().processes == ()


def test_usage_after_a_death(make: Any) -> None:
    """The dead child leaves the table, its replacement comes into it."""
    with make() as m:
        first = m.queue_task(work.pid)
        m.submit(work.crash, once=True).exception(30)
        second = m.queue_task(work.pid)
        wait_until(lambda: [one.pid for one in m.stats().processes] == [second])
        assert first != second


def test_no_usage_without_processes() -> None:
    """The tuple is empty for a manager whose resources live here."""
    from tasker import Config, TaskManager

    with TaskManager(Config(on_create=object, worker_count=1)) as m:
        m.queue_task(lambda ctx, thing: None)
        assert m.stats().processes == ()
