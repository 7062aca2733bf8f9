"""What else lives in a process or beside it: signals of a service manager, ``multiprocessing``, other programs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import pytest

from support.files_between_processes import FileGate
from support.processes import is_running
from support.waiting import WAIT, eventually, throughout, wait_until
from tasker import TaskCancelled

from . import struck, work
from .conftest import gone

methods = pytest.mark.parametrize("method", ["forkserver", "spawn"])
FORK = multiprocessing.get_context("fork")


def fork_server_of(manager: Any) -> Any:
    """Its client of the fork server."""
    return manager._engine.backend._sessions._client


def test_sigterm_for_the_whole_group(make: Any, door: FileGate) -> None:
    """As systemd sends it: the task that runs ends as if nothing was, what waits behind it runs in another child, and the
    fork server lives on to make that."""
    with make() as m:
        first = m.submit(work.hold, door, 1, once=True)
        rest = [m.submit(work.echo, n, once=True) for n in range(20)]
        door.wait_arrivals(1)
        child, server = door.pids[0], fork_server_of(m).pid
        for pid in (server, child):
            os.kill(pid, signal.SIGTERM)
        door.open()
        assert first.result(30) == 1
        assert [future.result(30) for future in rest] == [*range(20)]
        gone(child)
        assert is_running(server)
        assert (m.stats().lost_workers, m.stats().resources.lost) == (0, 0)


async def test_sigterm_for_the_whole_group_in_a_loop(amake: Any, door: FileGate) -> None:
    """The same in asyncio."""
    async with amake() as m:
        first = m.submit(work.hold, door, 1, once=True)
        rest = [m.submit(work.echo, n, once=True) for n in range(20)]
        await eventually(lambda: door.pids)
        os.kill(door.pids[0], signal.SIGTERM)
        door.open()
        assert await first == 1
        assert [await future for future in rest] == [*range(20)]
        assert m.stats().lost_workers == 0


def test_a_deaf_task_is_interrupted_all_the_same(make: Any, door: FileGate) -> None:
    """After a SIGTERM that it has not noticed, the end of its grace strikes it, and its resource is destroyed."""
    with make(cancel_grace=0.1) as m:
        future = m.submit(work.hold, door)
        door.wait_arrivals(1)
        os.kill(door.pids[0], signal.SIGTERM)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(30)
        wait_until(lambda: m.stats().resources.destroyed == 1)
        assert m.stats().resources.lost == 0


def hang_in_a_callback(ctx: Any, thing: Any, door: FileGate) -> None:
    """Does not heed its cancellation, and its callback never returns."""
    ctx.on_cancel(threading.Event().wait)
    door.arrive()
    while True:
        time.sleep(0.01)


def test_a_callback_does_not_hold_up_the_end(make: Any, door: FileGate) -> None:
    """The order to terminate is read while a callback of the cancellation hangs."""
    with make(cancel_grace=0.1) as m:
        future = m.submit(hang_in_a_callback, door)
        door.wait_arrivals(1)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(30)
        wait_until(lambda: m.stats().resources.created == 2)
        assert m.queue_task(work.echo, 1) == 1


def sigterm_does(number: int = 0) -> str:
    """What SIGTERM does in this process."""
    return "ends it" if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else "is caught"


def pool_of_forks(ctx: Any, thing: Any) -> list[str]:
    """What it does in the processes of a pool."""
    with FORK.Pool(2) as pool:
        return pool.map(sigterm_does, range(4))


def test_a_pool_in_a_task(make: Any) -> None:
    """Its processes end by SIGTERM, and not by an exception in whatever they do, which might wait for a lock for ever."""
    with make() as m:
        for _ in range(5):
            assert m.queue_task(pool_of_forks) == ["ends it"] * 4


def leave_a_daemon(ctx: Any, thing: Any) -> int:
    """A process that is to end with this one."""
    process = FORK.Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    assert process.pid is not None
    return process.pid


@methods
def test_a_daemonic_process_of_a_task(make: Any, method: str) -> None:
    """It ends with the child, as with any program that uses ``multiprocessing``."""
    with make(process={"start_method": method}) as m:
        pid = m.queue_task(leave_a_daemon)
        assert is_running(pid)
    gone(pid)


kept: list[Any] = []


def leave_an_executor(ctx: Any, thing: Any) -> int:
    """One that is still open when the child ends."""
    executor = ProcessPoolExecutor(1, FORK)
    kept.append(executor)
    return executor.submit(os.getpid).result()


@methods
def test_an_executor_of_a_task_that_was_left_open(make: Any, method: str) -> None:
    """Its processes end with the child, which does not have to be killed for waiting."""
    with make(process={"start_method": method}) as m:
        pid = m.queue_task(leave_an_executor)
        assert is_running(pid)
    gone(pid)


@methods
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_of_a_task_that_is_ended_at_once(make: Any, method: str, signum: int) -> None:
    """The signal ends it, though it was sent before the process ran any code."""
    if signal.getsignal(signum) is signal.SIG_IGN:
        pytest.skip("it is ignored in all of this session, as by nohup")
    with make(process={"start_method": method}, on_create=struck.make) as m:
        assert m.queue_task(struck.fork_and_strike, signum) == -signum


def read_shared(ctx: Any, thing: Any, name: str) -> bytes:
    """Attach a memory of the parent's."""
    memory = shared_memory.SharedMemory(name)
    try:
        return bytes(memory.buf[:5])
    finally:
        memory.close()


def make_shared(ctx: Any, thing: Any) -> str:
    """Make a memory for the parent."""
    memory = shared_memory.SharedMemory(create=True, size=5)
    memory.buf[:5] = b"child"
    memory.close()
    return memory.name


@methods
@pytest.mark.parametrize("loaded", ["before", "after"])
def test_shared_memory(make: Any, method: str, loaded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's outlives a child that has attached it, and a child's lives until it is unlinked; whether the parent
    knew of shared memory when the child started, or loads it later."""
    with make(process={"start_method": method}) as m:
        if loaded == "after":
            monkeypatch.delitem(sys.modules, "multiprocessing.shared_memory")
        memory = shared_memory.SharedMemory(create=True, size=5)
        try:
            memory.buf[:5] = b"hello"
            assert m.queue_task(read_shared, memory.name) == b"hello"
            name = m.queue_task(make_shared)
            m.stop()
            # A tracker of the child's own would unlink both a moment after its end.
            asyncio.run(throughout(lambda: all(Path("/dev/shm", one).exists() for one in (memory.name, name)), 0.5))
            again = shared_memory.SharedMemory(memory.name)
            assert bytes(again.buf[:5]) == b"hello"
            again.close()
        finally:
            memory.close()
            memory.unlink()
    other = shared_memory.SharedMemory(name)
    assert other.buf is not None
    assert bytes(other.buf[:5]) == b"child"
    other.close()
    other.unlink()


def test_nothing_but_the_parent_holds_on_to_the_fork_server(make: Any) -> None:
    """A spawned child does not inherit its socket: its death is noticed at once, and ends the child."""
    with make(process={"start_method": "spawn", "preload": ("tests_have_no_such_module",)}) as m:
        first = m.queue_task(work.pid)
        client = fork_server_of(m)
        os.kill(client.pid, signal.SIGKILL)
        wait_until(lambda: client.dead)
        gone(first)
        assert m.queue_task(work.pid) != first


def is_open(fd: int) -> bool:
    """Whether a descriptor is in use."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def fork_twice(ctx: Any, thing: Any) -> str:
    """Which files, opened in a fork, are closed in a fork of that."""
    read, write = os.pipe()
    if os.fork() == 0:
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
        if os.fork() == 0:
            os.write(write, f"closed: {[fd for fd in files if not is_open(fd)]}".encode())
        else:
            os.wait()
        os._exit(0)
    os.wait()
    found = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    return found


@methods
def test_a_fork_of_a_fork_keeps_its_files(make: Any, method: str) -> None:
    """Only the first closes the connection of the child, whose numbers other files may have then."""
    with make(process={"start_method": method}) as m:
        assert m.queue_task(fork_twice) == "closed: []"


def inheritable(ctx: Any, thing: Any) -> list[str]:
    """What a program that is started here would inherit, beyond the standard streams."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(f"{name}: {Path(f'/proc/self/fd/{name}').readlink()}")
        except OSError:  # of the listing itself
            continue
    return found


@methods
def test_programs_inherit_nothing(make: Any, method: str) -> None:
    """The connection of a child is its own."""
    with make(process={"start_method": method}) as m:
        assert m.queue_task(inheritable) == []


def test_one_thread_for_all_graces(make: Any) -> None:
    """However many running tasks are cancelled, and end at once."""
    before = threading.active_count()
    with make(worker_count=2, cancel_grace=60) as m:
        m.queue_task(work.echo)
        usual = threading.active_count()
        for _ in range(100):
            future = m.submit(work.until_cancelled)
            wait_until(future.running)
            future.cancel()
            with pytest.raises(TaskCancelled):
                future.result(30)
        assert threading.active_count() <= usual + 2  # the graces, and the second worker
    wait_until(lambda: threading.active_count() <= before + 1, WAIT, "the threads end")
