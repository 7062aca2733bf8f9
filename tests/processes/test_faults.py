"""What the parent cannot send, cannot take, or what kills the child that reads it, harms no other task and does not repeat for
ever."""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from support.files_between_processes import Notes
from support.waiting import WAIT, wait_until
from tasker import MaxRetriesExceeded, RemoteTraceback, TravelError, WorkerLost
from tasker.process.protocol.errors import pack_error, unpack_error

from . import work
from .conftest import FRESH, HOME

RAISED = [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, MemoryError, EOFError, OSError]
raised = pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)


class Mine:
    """Raises where it is pickled or made again, in one of the processes."""

    def __init__(self, kind: type[BaseException], where: str, home: int) -> None:
        self.kind = kind
        self.where = where
        self.home = home

    def __reduce__(self) -> Any:
        if self.where == "leaving":
            raise self.kind("no")
        return arrive, (self.kind, self.where, self.home)


def arrive(kind: type[BaseException], where: str, home: int) -> Any:
    """Make a Mine again."""
    if where == ("back" if os.getpid() == home else "arriving"):
        raise kind("no")
    return Mine(kind, where, home)


def give(ctx: Any, thing: Any, kind: Any, where: str, home: int) -> Mine:
    """Return one."""
    return Mine(kind, where, home)


@raised
@pytest.mark.parametrize("where", ["leaving", "arriving", "back"])
def test_pickling_that_raises_anything(make: Any, kind: type[BaseException], where: str) -> None:
    """On its way there or back: the error of that task, and all of its neighbours have their results."""
    with make(worker_count=2, max_retries=0) as m:
        futures = [m.submit(work.echo, n) for n in range(600)]
        if where == "back":
            bad = m.submit(give, kind, where, HOME)
        else:
            bad = m.submit(work.echo, Mine(kind, where, HOME))
        futures += [m.submit(work.echo, n) for n in range(600)]
        assert [future.result(30) for future in futures] == [*range(600)] * 2
        error = bad.exception(30)
        assert isinstance(error, TravelError)
        assert kind.__name__ in str(error)
        assert m.stats().lost_workers == 0


@raised
async def test_pickling_that_raises_anything_in_a_loop(amake: Any, kind: type[BaseException]) -> None:
    """The same in asyncio, both ways."""
    async with amake(max_retries=0) as m:
        futures = [m.submit(work.echo, n) for n in range(600)]
        bad = [m.submit(give, kind, "back", HOME), m.submit(work.echo, Mine(kind, "leaving", HOME))]
        futures += [m.submit(work.echo, n) for n in range(600)]
        assert [await future for future in futures] == [*range(600)] * 2
        for future in bad:
            with pytest.raises(TravelError, match=kind.__name__):
                await future
        assert m.stats().lost_workers == 0


class Closed(Exception):
    """An error whose chain cannot be looked at."""

    def _no(self, value: Any = None) -> Any:
        raise KeyboardInterrupt("no")

    __cause__ = property(_no, _no)  # type: ignore[assignment]
    __context__ = property(_no, _no)  # type: ignore[assignment]
    __suppress_context__ = property(_no, _no)  # type: ignore[assignment]
    __notes__ = property(_no, _no)  # type: ignore[assignment]


def test_an_error_that_refuses_a_cause(make: Any) -> None:
    """It arrives as it is, with the child's traceback behind it; its neighbours are not touched."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.make_raise, Closed(n)) if n % 10 == 9 else m.submit(work.echo, n) for n in range(300)]
        for number, future in enumerate(futures):
            if number % 10 == 9:
                error = future.exception(30)
                assert (type(error), error.args) == (Closed, (number,))
            else:
                assert future.result(30) == number
        assert m.stats().lost_workers == 0
    again = unpack_error(pack_error(Closed(1)))
    assert isinstance(BaseException.__dict__["__cause__"].__get__(again), RemoteTraceback)


def fork_and_return(ctx: Any, thing: Any, notes: Notes, raises: bool) -> int:
    """Returns in two processes."""
    pid = os.fork()
    if not pid:
        notes.write("copy", os.getpid())
        if raises:
            raise ValueError("of the copy")
    return pid


@pytest.mark.parametrize("raises", [False, True])
def test_a_task_that_returns_twice(make: Any, notes: Notes, raises: bool) -> None:
    """The fork ends where the task does: it reports nothing, takes no task, and no other task is touched."""
    with make() as m:
        futures = [m.submit(work.note, n) for n in range(200)]
        forks = [m.submit(fork_and_return, notes, raises) for _ in range(3)]
        futures += [m.submit(work.note, n) for n in range(200, 400)]
        assert [future.result(30) for future in futures] == [*range(400)]
        pids = [fork.result(30) for fork in forks]
        assert all(pid > 0 for pid in pids)
        wait_until(lambda: sorted(notes.numbers("copy")) == sorted(pids), WAIT, "all copies have run")
        assert m.stats().lost_workers == 0
    assert len(notes.lines("start")) == 400


async def afork_and_return(ctx: Any, thing: Any, notes: Notes) -> int:
    """`fork_and_return` as a coroutine function."""
    await asyncio.sleep(0)
    return fork_and_return(ctx, thing, notes, False)


async def test_a_coroutine_that_returns_twice(amake: Any, notes: Notes) -> None:
    """The same in an event loop."""
    async with amake() as m:
        futures = [m.submit(work.note, n) for n in range(200)]
        fork = m.submit(afork_and_return, notes)
        futures += [m.submit(work.note, n) for n in range(200)]
        assert [await future for future in futures] == [*range(200)] * 2
        assert await fork > 0
        assert m.stats().lost_workers == 0


# Messages that cannot be taken in.


def imports(tmp_path: Path) -> int:
    """How many children have tried to import it."""
    return len((tmp_path / "imports").read_text().splitlines()) - 1


@pytest.mark.parametrize("once", [False, True])
def test_a_message_that_kills(make: Any, deadly: Any, tmp_path: Path, notes: Notes, once: bool) -> None:
    """Each task that kills with its import ends with WorkerLost after its attempts, and what was sent with it loses none:
    it starts once, though it may only be started once."""
    with make(process=FRESH, max_retries=2) as m:
        assert [future.result(30) for future in [m.submit(work.note, n, once=True) for n in range(100)]] == [
            *range(100)
        ]
        before = [m.submit(work.note, n, once=True) for n in range(100, 200)]
        bad = [m.submit(deadly, n, once=once) for n in range(2)]
        after = [m.submit(work.note, n, once=True) for n in range(200, 300)]
        assert [future.result(60) for future in before + after] == [*range(100, 300)]
        for future in bad:
            error = future.exception(60)
            assert isinstance(error, WorkerLost if once else MaxRetriesExceeded)
            assert future.attempts == (1 if once else 3)
        # Its attempts, and one death for each message in which it was with others.
        assert imports(tmp_path) <= 2 * (1 if once else 3) + 4
    assert sorted(map(int, notes.lines("start"))) == [*range(300)]


async def test_a_message_that_kills_in_a_loop(amake: Any, deadly: Any, tmp_path: Path) -> None:
    """The same in asyncio."""
    async with amake(process=FRESH, max_retries=1) as m:
        futures = [m.submit(work.echo, n, once=True) for n in range(100)]
        bad = [m.submit(deadly, 1, once=True), m.submit(deadly, 2)]
        futures += [m.submit(work.echo, n, once=True) for n in range(100)]
        async with asyncio.timeout(60):
            assert [await future for future in futures] == [*range(100)] * 2
            errors = await asyncio.gather(*bad, return_exceptions=True)
        assert [type(error) for error in errors] == [WorkerLost, MaxRetriesExceeded]
        assert imports(tmp_path) <= 6


def lower(ctx: Any, thing: Any, which: int, most: int) -> int:
    """Limits what this process may have; returns its id."""
    _, hard = resource.getrlimit(which)
    if which == resource.RLIMIT_AS:
        most += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(which, (most, hard))
    return os.getpid()


def size_of(ctx: Any, thing: Any, value: bytes, *rest: Any) -> int:
    """How much has arrived."""
    return len(value)


@pytest.mark.parametrize("which", [resource.RLIMIT_AS, resource.RLIMIT_NOFILE], ids=["memory", "descriptors"])
@pytest.mark.parametrize("way", ["submit", "run_task"])
def test_a_message_that_cannot_be_taken_in(make: Any, which: int, way: str) -> None:
    """The child has no room for a large argument, or no descriptor left: TravelError, in the same child, and small tasks
    run there on."""
    most = 30 << 20 if which == resource.RLIMIT_AS else 3
    large = pickle.PickleBuffer(b"x" * (64 << 20 if which == resource.RLIMIT_AS else 1 << 20))
    with make(resource_pool_size=1 if way == "run_task" else 0) as m:
        run = m.run_task if way == "run_task" else m.queue_task
        pid = run(lower, which, most)
        for _ in range(2):
            with pytest.raises(TravelError, match=r"size_of.*can't be unpickled in the child"):
                run(size_of, large)
        assert run(work.pid) == pid
        futures = (
            [m.submit(size_of, large if n == 5 else b"12", once=True) for n in range(20)] if way == "submit" else []
        )
        for number, future in enumerate(futures):
            if number == 5:
                assert isinstance(future.exception(30), TravelError)
            else:
                assert future.result(30) == 2
        assert run(work.pid) == pid
        assert m.stats().lost_workers == 0


def test_a_message_that_cannot_be_taken_in_and_is_cancelled(make: Any, door: Any) -> None:
    """One that is sent by itself and dropped there, because it was cancelled, is read over."""
    with make() as m:
        holding = m.submit(work.hold, door)
        door.wait_arrivals(1)
        large = [m.submit(size_of, pickle.PickleBuffer(bytes(1 << 20)), n) for n in range(4)]
        assert large[1].cancel()
        door.open()
        holding.result(30)
        assert [future.result(30) for future in large if not future.cancelled()] == [1 << 20] * 3
        assert m.queue_task(work.echo, 1) == 1
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
