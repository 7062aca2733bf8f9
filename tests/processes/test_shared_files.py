"""What a shared value is in the memory of children, and where there is no /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import Config, ProcessBackend, TaskManager, TravelError
from tasker.process import sharing
from tasker.process.protocol import shared_values


def mapped(ctx: Any, resource: Any, value: Any) -> tuple[str, int]:
    """The size of a buffer, and how many of the shared files are mapped."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return f"{len(value[0])} bytes", sum("memfd:tasker" in line for line in lines)


def look(ctx: Any, resource: Any) -> int:
    """How many are mapped."""
    return mapped(ctx, resource, [b""])[1]


class Large:
    """A list of a buffer that is not copied."""

    def __reduce__(self) -> Any:
        from pickle import PickleBuffer

        return list, ([PickleBuffer(bytes(500_000))],)


pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at /proc")


def test_the_memory_is_given_back() -> None:
    """A child maps the file once, and not any more when the handle was closed; here its descriptor is closed."""
    backend = ProcessBackend()
    with TaskManager(Config(on_create=dict, backend=backend, worker_count=1)) as m:
        m.queue_task(look)
        before = len(os.listdir("/proc/self/fd"))
        with backend.share(Large()) as shared:
            assert len(os.listdir("/proc/self/fd")) == before + 1
            assert m.queue_task(mapped, shared) == m.queue_task(mapped, shared) == ("500000 bytes", 1)
        assert len(os.listdir("/proc/self/fd")) == before
        wait_until(lambda: m.queue_task(look) == 0)


def test_a_descriptor_that_is_another_file_by_now(tmp_path: Path) -> None:
    """A child that comes too late does not take another file for the value."""
    shared = ProcessBackend().share([1])
    find, arguments = shared.__reduce__()
    assert find(*arguments) == [1]
    shared_values.forget(arguments[0])
    path = Path(arguments[1])
    with (tmp_path / "other").open("w") as other:
        shared.close()
        os.dup2(other.fileno(), int(path.name))
        with pytest.raises(LookupError, match="was closed"):
            find(*arguments)
        os.close(int(path.name))
    with pytest.raises(LookupError, match="was closed"):
        find(*arguments)


def test_one_that_is_closed_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives, and is not kept, since the order to forget it may have come before."""
    shared = ProcessBackend().share([1])
    find, arguments = shared.__reduce__()
    found = shared_values._found

    def late(*given: Any) -> Any:
        value = found(*given)
        shared.close()
        return value

    monkeypatch.setattr(shared_values, "_found", late)
    assert find(*arguments) == [1]
    assert arguments[0] not in shared_values._values


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a file with a name, which goes with the handle."""
    monkeypatch.setattr(sharing, "_DESCRIPTORS", Path("/nowhere"))
    backend = ProcessBackend()
    with TaskManager(Config(on_create=dict, backend=backend, worker_count=1)) as m:
        shared = backend.share([b"x" * 300_000])
        path = Path(shared.__reduce__()[1][1])
        assert m.queue_task(mapped, shared) == ("300000 bytes", 0)
        assert path.exists()
        shared.close()
        assert not path.exists()
        with pytest.raises(TravelError, match="closed"):
            m.queue_task(mapped, shared)
