"""forkserver and spawn: the same, but for the time it takes; and what a child looks like from inside."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.files_between_processes import Notes
from tasker import WorkerLost

from . import work
from .conftest import FRESH

methods = pytest.mark.parametrize("method", ["forkserver", "spawn"])


@methods
def test_a_day_in_its_life(make: Any, notes: Notes, method: str) -> None:
    """Functions, closures, errors, a death and a stop."""
    base = 40
    with make(worker_count=2, resource_pool_size=1, process={"start_method": method}) as m:
        assert m.queue_task(work.pid) != os.getpid()
        assert m.queue_task(lambda ctx, thing, n: base + n, 2) == 42
        assert m.run_task(work.echo, "pool") == "pool"
        with pytest.raises(KeyError, match="mine"):
            m.queue_task(work.raise_kind, KeyError, "mine")
        with pytest.raises(WorkerLost):
            m.queue_task(work.crash, "3", once=True)
        assert list(m.map(work.echo, range(50))) == list(range(50))
        assert not m.stop().killed
    assert m.stats().resources.lost == 1
    assert len(notes.lines("destroy")) == len(notes.lines("create")) - 1


@methods
async def test_a_day_in_asyncio(amake: Any, notes: Notes, method: str) -> None:
    """The same with coroutines."""
    async with amake(worker_count=2, resource_pool_size=1, process={"start_method": method}) as m:
        assert await m.queue_task(work.apid) != os.getpid()
        assert await m.run_task(work.echo, "pool") == "pool"
        with pytest.raises(WorkerLost):
            await m.queue_task(work.acrash, "3", once=True)
        assert [value async for value in m.map(work.echo, range(50))] == list(range(50))
    assert m.stats().resources.lost == 1


@methods
def test_everything_in_the_main_thread(make: Any, method: str) -> None:
    """Resource and tasks belong to the main thread of the child, so signals and thread-bound things work there."""

    def look(ctx: Any, db: sqlite3.Connection) -> tuple[bool, int]:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        (value,) = db.execute("SELECT 7").fetchone()
        return threading.current_thread() is threading.main_thread(), value

    connect = partial(sqlite3.connect, ":memory:")
    with make(
        on_create=connect,
        on_destroy=sqlite3.Connection.close,
        resource_pool_size=1,
        process={"start_method": method},
    ) as m:
        for _ in range(3):
            assert m.queue_task(look) == (True, 7)
            assert m.run_task(look) == (True, 7)
        m.stop()
        assert m.stats().user_errors == 0


async def test_one_loop_in_the_main_thread(amake: Any, notes: Notes) -> None:
    """Coroutine tasks and hooks of a child run in one event loop, in its main thread."""

    async def create() -> Any:
        return asyncio.get_running_loop(), threading.get_ident()

    async def look(ctx: Any, made: Any) -> tuple[bool, bool, bool]:
        loop, thread = made
        await asyncio.sleep(0.001)
        return (
            asyncio.get_running_loop() is loop,
            threading.get_ident() == thread,
            threading.current_thread() is threading.main_thread(),
        )

    async def end(made: Any) -> None:
        assert asyncio.get_running_loop() is made[0]

    async with amake(on_create=create, on_destroy=end, resource_pool_size=1) as m:
        for _ in range(3):
            assert await m.queue_task(look) == (True, True, True)
            assert await m.run_task(look) == (True, True, True)
        await m.stop()
        assert m.stats().user_errors == 0


def test_preloaded_modules_are_imported_once(make: Any) -> None:
    """Each child finds them imported, by a process that is neither the child nor this one."""
    name = f"{__package__}.preloaded"

    def look(ctx: Any, thing: Any, name: str) -> tuple[int, int]:
        return sys.modules[name].PID, os.getpid()

    with make(worker_count=2, process={"preload": [name], "max_tasks": 1}) as m:
        seen = [m.queue_task(look, name) for _ in range(4)]
    importers, children = ({*column} for column in zip(*seen, strict=True))
    assert len(importers) == 1
    assert len(children) == 4
    assert not importers & (children | {os.getpid()})


@methods
def test_the_folder_and_the_path_of_this_process(make: Any, tmp_path: Path, method: str) -> None:
    """Children start in the folder that this process was in, and import from where it imports."""
    with make(process={"start_method": method}) as m:
        assert m.queue_task(lambda ctx, thing: os.getcwd()) == os.getcwd()
        assert m.queue_task(lambda ctx, thing: sys.path) == sys.path


@methods
def test_standard_input_is_not_theirs(make: Any, method: str) -> None:
    """A task that reads standard input finds it empty, and does not take it from this process."""
    with make(process={"start_method": method}) as m:
        assert m.queue_task(lambda ctx, thing: sys.stdin.read()) == ""


def test_ctrl_c_is_for_this_process(make: Any, door: Any) -> None:
    """A SIGINT that reaches the children as well, as Ctrl-C at a terminal does, harms no task."""
    with make() as m:
        future = m.submit(work.hold, door, "kept")
        (pid,) = door.wait_arrivals(1)
        os.kill(pid, signal.SIGINT)
        door.open()
        assert future.result(30) == "kept"
        assert m.queue_task(work.pid) == pid
        os.kill(pid, signal.SIGINT)
        assert m.queue_task(work.pid) == pid


def interrupted(ctx: Any, thing: Any) -> int:
    """Start a program, end it as Ctrl-C does, and return how it has ended."""
    program = subprocess.Popen(["sleep", "60"])
    program.send_signal(signal.SIGINT)
    return program.wait(30)


@methods
def test_ctrl_c_ends_the_programs_of_a_task(make: Any, method: str) -> None:
    """They have not inherited that it does nothing."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # of tests that run in the background
    try:
        with make(process={**FRESH, "start_method": method}) as m:
            assert m.queue_task(interrupted) == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


def test_random_numbers_differ(make: Any) -> None:
    """Children forked from one process do not all draw the same."""
    import random

    with make(process={"max_tasks": 1, "preload": ["random"]}) as m:
        assert len({m.queue_task(lambda ctx, thing: random.random()) for _ in range(3)}) == 3


def test_random_numbers_of_numpy_differ(make: Any) -> None:
    """The same of its global generator, which is seeded as it is imported."""
    pytest.importorskip("numpy")

    def draw(ctx: Any, thing: Any) -> float:
        import numpy.random

        return float(numpy.random.rand())  # noqa: NPY002  the global one

    with make(process={"max_tasks": 1, "preload": ["numpy.random"]}) as m:
        assert len({m.queue_task(draw) for _ in range(3)}) == 3


def test_modules_of_the_children_are_not_those_of_this_process(make: Any) -> None:
    """A child does not inherit the memory of this process: never a bare fork."""
    work.user_marker = "set here"  # type: ignore[attr-defined]
    try:
        with make() as m:
            assert m.queue_task(lambda ctx, thing: hasattr(sys.modules[work.__name__], "user_marker")) is False
    finally:
        del work.user_marker  # type: ignore[attr-defined]


def test_context_manager_factory(make: Any, notes: Notes) -> None:
    """resource= is entered and left in the child."""
    from contextlib import contextmanager

    @contextmanager
    def factory() -> Any:
        notes.write("create", os.getpid())
        try:
            yield os.getpid()
        finally:
            notes.write("destroy", os.getpid())

    with make(resource=factory) as m:
        assert m.queue_task(lambda ctx, pid: pid == os.getpid())
    assert notes.lines("create") == notes.lines("destroy")
