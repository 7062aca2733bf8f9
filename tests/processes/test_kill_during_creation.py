"""`kill` while a child makes its resource: that is interrupted, and may clean up."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from support.files_between_processes import FileGate, Notes
from support.waiting import Call, wait_until

from . import work


def create(notes: Notes, door: FileGate) -> Any:
    """Waits at the door; notes how that ended."""
    notes.write("creating", 1)
    try:
        door.pass_through()
    finally:
        notes.write("cleaned", 1)
    return work.make(notes)


async def acreate(notes: Notes) -> Any:
    """Waits in its loop; notes how that ended."""
    notes.write("creating", 1)
    try:
        await asyncio.sleep(600)
    finally:
        notes.write("cleaned", 1)
    return await work.amake(notes)


def check(m: Any, report: Any, notes: Notes) -> None:
    """It was interrupted, long before the deadline, and there was never a resource."""
    assert notes.numbers("cleaned") == [1]
    assert report.abandoned == ()
    ledger = m.stats().resources
    assert (ledger.created, ledger.alive, ledger.lost) == (0, 0, 0)


def test_threads(make: Any, notes: Notes, door: FileGate) -> None:
    """With a plain function."""
    m = make(on_create=partial(create, notes, door), on_destroy=work.Thing.end)
    wait_until(lambda: bool(notes.numbers("creating")))
    check(m, Call(m.kill, 60).outcome(40), notes)


async def test_asyncio(amake: Any, notes: Notes) -> None:
    """With a coroutine function."""
    m = await amake(on_create=partial(acreate, notes), on_destroy=work.aend)
    await asyncio.to_thread(wait_until, lambda: bool(notes.numbers("creating")))
    async with asyncio.timeout(40):
        check(m, await m.kill(60), notes)
