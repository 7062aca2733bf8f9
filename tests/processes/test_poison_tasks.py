"""Tasks that kill one child after the other: quarantined, with their history, and the pool lives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support.files_between_processes import Notes
from support.waiting import eventually, wait_until
from tasker import PoisonTask, Quarantined, WorkerLost

from . import work


def test_a_task_that_kills_its_children(make: Any, notes: Notes) -> None:
    """Each dead child counts; the error of the last one is the cause."""
    got: list[Quarantined] = []
    with make(quarantine_after=3, max_retries=9, on_quarantine=got.append) as m:
        future = m.submit(work.crash, "5")
        error = future.exception(60)
        assert isinstance(error, PoisonTask)
        assert isinstance(error.__cause__, WorkerLost)
        assert error.__cause__.exitcode == 5
        assert [one.verdict for one in error.attempts] == ["try again", "try again", "quarantined"]
        assert len({one.error.pid for one in error.attempts}) == 3  # type: ignore[union-attr]
        assert len({one.generation for one in error.attempts}) == 3
        assert len(error.__notes__[0].splitlines()) == 3
        assert m.queue_task(work.echo, "alive") == "alive"
        assert m.stats().quarantined_tasks == 1
        assert m.stats().resources.lost == 3
        wait_until(lambda: bool(got))
        assert (got[0].args, got[0].name) == (("5",), "processes.work.crash")
    assert len(notes.lines("start")) == 3


async def test_in_a_loop(amake: Any, notes: Notes) -> None:
    """The same with an AsyncTaskManager, whose on_quarantine may be a coroutine function."""
    got: list[Quarantined] = []

    async def note(info: Quarantined) -> None:
        got.append(info)

    async with amake(quarantine_after=2, max_retries=9, on_quarantine=note) as m:
        with pytest.raises(PoisonTask) as caught:
            await m.queue_task(work.acrash)
        assert "signal SIGKILL" in str(caught.value.__cause__)
        assert await m.queue_task(work.echo, "alive") == "alive"
        await eventually(lambda: bool(got))
    assert len(notes.lines("start")) == 2


def test_deaths_and_unhealthy_errors_add_up(make: Any, notes: Notes) -> None:
    """A child that a task has killed, and a resource that it has left unhealthy, are two resources."""
    with make(quarantine_after=2, max_retries=9, check_health=lambda error: False) as m:
        future = m.submit(fails_then_dies)
        assert isinstance(future.exception(60), PoisonTask)
        first, last = future.attempts_made
        assert (type(first.error), type(last.error)) == (ConnectionError, WorkerLost)


def fails_then_dies(ctx: Any, thing: Any) -> None:
    """Raise at the first start, and die at the second."""
    thing.notes.write("start", 0)
    if len(thing.notes.lines("start")) == 1:
        raise ConnectionError("reset")
    os._exit(3)


def test_a_message_that_kills(make: Any, deadly: Any, tmp_path: Path) -> None:
    """What was sent together with it is not blamed. From then on it is sent by itself, and each child that it kills counts."""
    with make(quarantine_after=2, max_retries=9, worker_count=1, max_worker_count=1) as m:
        gate = [m.submit(work.echo, n) for n in range(3)]
        bad = m.submit(deadly, 1)
        good = [m.submit(work.echo, n) for n in range(10)]
        assert isinstance(bad.exception(60), PoisonTask)
        assert bad.attempts == 2
        assert [future.result(60) for future in (*gate, *good)] == [*range(3), *range(10)]
        assert m.stats().quarantined_tasks == 1
