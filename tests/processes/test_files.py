"""What is large goes through files in memory: one for a message, and none where descriptors are scarce."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import resource
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tasker import TravelError
from tasker.process.protocol import shared_memory as files
from tasker.process.protocol import wire
from tasker.process.protocol.decoding import event_of
from tasker.remote.events import GARBLED

from . import work

SIZE = wire.MAPPED_SIZE


class Block:
    """Travels beside the pickle, as an array does."""

    def __init__(self, content: Any = b"") -> None:
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Block, (pickle.PickleBuffer(self.content),)


def blocks(ctx: Any, thing: Any, count: int) -> list[Block]:
    """So many of them."""
    return [Block(bytearray(SIZE)) for _ in range(count)]


def lengths(ctx: Any, thing: Any, given: list[Block]) -> int:
    """Their bytes, in all."""
    return sum(len(block.content) for block in given)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Room for 60 more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd"))) + 60
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("scarce", [False, True])
def test_parts_survive_the_file(scarce: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their sizes, whether they are mapped or read; writable, each for itself."""
    monkeypatch.setattr(files, "_KEEPS_NONE", {})
    monkeypatch.setattr(files, "_scarce", lambda fd: scarce)
    parts = [b"a", b"", b"b" * 4096, b"c" * 4097, b"d" * 100_000]
    before = len(os.listdir("/proc/self/fd"))
    fd = files.file_in_memory(map(memoryview, parts))
    found = files.content_of(fd, [len(part) for part in parts])
    os.close(fd)
    assert [bytes(part) for part in found] == parts
    assert len(os.listdir("/proc/self/fd")) - before == (0 if scarce else 4)
    last = found[-1]
    assert isinstance(last, memoryview)
    last[0] = 7
    assert bytes(found[-2]) == parts[-2]


def test_the_last_descriptor_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come is read, where not one more can be had to map it."""

    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(files, "_KEEPS_NONE", {})
    fd = files.file_in_memory([memoryview(b"all of it")])
    monkeypatch.setattr(os, "dup", none_left)
    assert [bytes(part) for part in files.content_of(fd, [9])] == [b"all of it"]
    os.close(fd)


def test_a_file_that_the_kernel_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had no descriptor for it: the message is garbled, not waited for, and the next one is read."""
    near, far = socket.socketpair(), socket.socketpair()
    here, there = wire.Wire(near[0], far[0]), wire.Wire(near[1], far[1])
    for end in (near[0], near[1]):
        end.setblocking(False)
    here.send([bytes(SIZE)])
    here.send([b"small"])
    receive = socket.recv_fds

    def dropped(*arguments: Any) -> Any:
        content, descriptors, flags, address = receive(*arguments)
        for fd in descriptors:
            os.close(fd)
        return content, [], flags | socket.MSG_CTRUNC, address

    monkeypatch.setattr(socket, "recv_fds", dropped)
    error, small = there.receive()
    assert isinstance(error, OSError)
    assert small == b"small"
    assert event_of(error) == (GARBLED, error)
    here.close()
    there.close()


@pytest.mark.usefixtures("few_descriptors")
def test_many_buffers_in_one_message(make: Any) -> None:
    """More of them than there are descriptors, both ways."""
    with make() as m:
        assert m.submit(lengths, blocks(None, None, 100)).result(30) == 100 * SIZE
        assert lengths(None, None, m.submit(blocks, 100).result(30)) == 100 * SIZE


@pytest.mark.usefixtures("few_descriptors")
def test_many_results_that_are_kept(make: Any) -> None:
    """A result does not cost a descriptor for as long as it lives, once they get scarce."""
    with make() as m:
        kept = [m.submit(blocks, 1).result(30) for _ in range(100)]
        assert sum(lengths(None, None, one) for one in kept) == 100 * SIZE
        assert m.stats().resources.created == 1


def taken() -> list[int]:
    """All descriptors that are free."""
    found = []
    try:
        while True:
            found.append(os.dup(0))
    except OSError:
        return found


@pytest.mark.usefixtures("few_descriptors")
def test_no_descriptor_for_an_argument(make: Any) -> None:
    """The caller is told; the worker lives."""
    with make() as m:
        worker = m.queue_task(work.pid)
        descriptors = taken()
        try:
            error = m.submit(lengths, [Block(bytearray(SIZE))]).exception(30)
        finally:
            for fd in descriptors:
                os.close(fd)
        assert isinstance(error, TravelError)
        assert "Too many open files" in str(error)
        assert m.queue_task(work.pid) == worker


@pytest.mark.usefixtures("few_descriptors")
async def test_no_descriptor_for_a_result_in_a_loop(amake: Any, door: Any) -> None:
    """The caller is told, and the loop goes on."""
    async with amake() as m:
        worker = await m.queue_task(work.pid)
        future = m.submit(blocks_behind, door)
        while not door.pids:
            await asyncio.sleep(0.01)
        descriptors = taken()
        try:
            os.close(descriptors.pop())
            door.open()
            descriptors += taken()
            with pytest.raises(TravelError, match="Too many open files"):
                await asyncio.wait_for(future, 30)
        finally:
            for fd in descriptors:
                os.close(fd)
        assert await m.queue_task(work.pid) == worker


def blocks_behind(ctx: Any, thing: Any, door: Any) -> list[Block]:
    """One, once the door opens."""
    door.pass_through()
    return blocks(ctx, thing, 1)


def forks(ctx: Any, thing: Any, block: Block) -> int:
    """Have a fork change its copy; return what the first byte is afterwards."""
    forked = os.fork()
    if forked == 0:
        block.content[0] = 9
        os._exit(0)
    os.waitpid(forked, 0)
    return int(block.content[0])


def test_a_fork_has_a_copy_of_what_is_mapped(make: Any) -> None:
    """As of all other memory: neither process sees what the other one writes there."""
    with make() as m:
        assert m.queue_task(forks, Block(bytearray(SIZE))) == 0


def test_statistics_without_a_descriptor(make: Any) -> None:
    """Where none is left to look at the children, `stats()` has no figures of them, and raises nothing."""
    with make() as m:
        m.queue_task(work.pid)
        assert len(m.stats().processes) == 1
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            assert m.stats().processes == ()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(m.stats().processes) == 1
