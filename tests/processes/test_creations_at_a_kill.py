"""A kill while a resource of `run_task` is made in a child: it may be completed until shortly before the deadline."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import eventually
from tasker import ShutdownError, TaskKilled

from . import work
from .conftest import gone

CREATIONS = ["refill", "temporary"]


def create(notes: Notes, armed: FileGate, door: FileGate) -> work.Thing:
    """An on_create that waits at the door once `armed` is open, and writes down that it has left it."""
    if armed.is_open:
        try:
            door.pass_through()
        finally:
            notes.write("left")
    return work.make(notes)


class Rig:
    """A manager of either kind. Its calls run in tasks of the loop."""

    def __init__(self, kind: str, make: Any, amake: Any, door: FileGate, armed: FileGate, notes: Notes) -> None:
        self._is_async = kind == "asyncio"
        self._make = amake if self._is_async else make
        self._hooks = {"on_create": partial(create, notes, armed, door), "on_destroy": work.Thing.end}
        self._door = door
        self._armed = armed
        self.manager: Any

    async def start(self, **config: Any) -> None:
        """Make the manager."""
        make = partial(self._make, check_health=lambda error: False, **self._hooks, **config)
        if self._is_async:
            self.manager = make()
            await self.manager
        else:
            self.manager = await asyncio.to_thread(make)

    def call(self, method: str, *args: Any) -> asyncio.Task[Any]:
        """Begin to call a method of the manager."""
        bound = getattr(self.manager, method)
        return asyncio.create_task(bound(*args) if self._is_async else asyncio.to_thread(bound, *args))

    async def hold(self, what: str) -> asyncio.Task[Any]:
        """Have a resource made that waits at the door. Return the call of `run_task` that has led to it."""
        await self.start(resource_pool_size=int(what == "refill"))
        await eventually(lambda: self.manager.stats().resources.created == 1 + (what == "refill"))
        self._armed.open()
        caller = self.call("run_task", work.make_raise, OSError("sick"))
        await eventually(lambda: self._door.pids)
        return caller


@pytest.fixture(params=["threads", "asyncio"])
def rig(request: Any, make: Any, amake: Any, door: FileGate, doors: Any, notes: Notes) -> Rig:
    """A rig for each engine."""
    return Rig(request.param, make, amake, door, doors(), notes)


async def outcome_of_caller(what: str, caller: asyncio.Task[Any]) -> None:
    """The call that needs the resource is killed; the one that has spoiled another is over."""
    with pytest.raises(TaskKilled if what == "temporary" else OSError):
        await caller


@pytest.mark.parametrize("what", CREATIONS)
async def test_it_is_completed(rig: Rig, door: FileGate, notes: Notes, what: str) -> None:
    """And then destroyed, before the kill returns."""
    caller = await rig.hold(what)
    kill = rig.call("kill", 60)
    await eventually(lambda: len(notes.lines("destroy")) == 1 + (what == "refill"), what="the worker's")
    door.open()
    assert (await kill).seconds < 30
    await outcome_of_caller(what, caller)
    made = 2 + (what == "refill")
    assert (len(notes.lines("create")), len(notes.lines("destroy"))) == (made, made)
    assert rig.manager.stats().resources.lost == 0


@pytest.mark.parametrize("what", CREATIONS)
async def test_one_that_hangs_is_interrupted(rig: Rig, door: FileGate, notes: Notes, what: str) -> None:
    """Its function can clean up, and the kill returns at its deadline."""
    caller = await rig.hold(what)
    report = await asyncio.wait_for(rig.call("kill", 2), 20)
    assert report.seconds < 10
    await outcome_of_caller(what, caller)
    assert notes.lines("left") == [""]
    gone(door.pids[0])


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_while_the_manager_starts(amake: Any, door: FileGate, doors: Any, notes: Notes, end: str) -> None:
    """A stop or kill ends the start, and what is made for it in a child, at once."""
    armed = doors()
    armed.open()
    rig = Rig("asyncio", None, amake, door, armed, notes)
    starting = asyncio.create_task(rig.start(resource_pool_size=1))
    await eventually(lambda: door.pids)
    report = await asyncio.wait_for(rig.call(end), 20)
    assert report.seconds < 10
    with pytest.raises(ShutdownError):
        await starting
    gone(door.pids[0])
