"""Where the descriptors of the parent end: there are as many children as it has room for, and the error says why."""

from __future__ import annotations

import errno
import itertools
import os
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from support.waiting import eventually, wait_until
from tasker.process.fork_server import CHILD_FDS
from tasker.process.parent import fork_server_client
from tasker.process.parent.fork_server_client import ForkServerClient, SpawnedChild, acquire_client, give_back
from tasker.process.sessions import DESCRIPTORS

from . import work


@pytest.fixture
def room() -> Iterator[Any]:
    """Room for so many more descriptors, until told otherwise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def only(more: int | None) -> None:
        used = {*map(int, os.listdir("/proc/self/fd"))}
        free = (number for number in itertools.count() if number not in used)
        most = soft if more is None else next(itertools.islice(free, more, None))
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

    yield only
    only(None)


def descriptors() -> int:
    """Of this process."""
    return len(os.listdir("/proc/self/fd"))


def test_what_a_child_takes(make: Any) -> None:
    """The number that the documentation and the error name."""
    with make(max_worker_count=5) as m:
        m.queue_task(work.pid)
        before = descriptors()
        m.resize(worker_count=5)
        wait_until(lambda: m.stats().resources.created == 5 and descriptors() == before + 4 * DESCRIPTORS)


def test_more_workers_than_there_is_room_for(make: Any, room: Any) -> None:
    """Those that could be made serve; the others are made as soon as there is room."""
    room(6 * DESCRIPTORS)
    with make(worker_count=8) as m:
        wait_until(lambda: "RLIMIT_NOFILE" in (m.stats().creation_error or ""))
        assert list(m.map(work.echo, range(100))) == [*range(100)]
        assert 0 < m.stats().resources.alive < 8
        room(None)
        wait_until(lambda: m.stats().resources.alive == 8)


async def test_more_workers_than_a_loop_has_room_for(amake: Any, room: Any) -> None:
    """The same in asyncio."""
    room(6 * DESCRIPTORS)
    async with amake(worker_count=8) as m:
        await eventually(lambda: "RLIMIT_NOFILE" in (m.stats().creation_error or ""))
        assert [await future for future in [m.submit(work.echo, n) for n in range(100)]] == [*range(100)]
        assert 0 < m.stats().resources.alive < 8
        room(None)
        await eventually(lambda: m.stats().resources.alive == 8)


def test_what_the_kernel_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many descriptors on their way, one child cannot be started; the fork server lives, and so do its children."""

    def send_files(*args: Any) -> Any:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    client: ForkServerClient = acquire_client(())
    monkeypatch.setattr(fork_server_client, "send_files", send_files)
    with pytest.raises(OSError, match="Too many references"):
        client.start(SpawnedChild(lambda status: None), [0] * CHILD_FDS, False, 1.0)
    assert not client.dead
    assert not client._children
    give_back((), client)
