"""The connection to a Ray cluster that managers share, over a Ray that is none."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import Call, wait_until
from tasker import ConfigError, RayBackend, ResourceError
from tasker.ray import options
from tasker.ray.cluster import _Connection


class NoRay:
    """Notes what it is asked for, and in which thread."""

    def __init__(self) -> None:
        self.up = False
        self.calls: list[tuple[str, threading.Thread]] = []
        self.given: list[dict[str, Any]] = []
        self.ending = Gate()
        self.ending.open()
        self.error: Exception | None = None

    def is_initialized(self) -> bool:
        return self.up

    def init(self, **given: Any) -> None:
        self.calls.append(("init", threading.current_thread()))
        self.given.append(given)
        if self.error is not None:
            raise self.error
        self.up = True

    def shutdown(self) -> None:
        self.calls.append(("shutdown", threading.current_thread()))
        self.ending.pass_through()
        self.up = False

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> NoRay:
    """In place of the module."""
    monkeypatch.setattr(options, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "ray", NoRay())  # type: ignore[arg-type]
    made: Any = sys.modules["ray"]
    return made  # type: ignore[no-any-return]


def test_the_last_user_ends_what_the_first_has_begun(ray: NoRay) -> None:
    """In one thread, which lives in between: the processes of a local Ray are killed with the thread that has started them."""
    connection = _Connection()
    assert [connection.acquire(RayBackend()) for _ in range(2)] == [True, True]
    assert ray.given[0]["address"] == "local"
    (_, thread), *_ = ray.calls
    connection.release()
    assert (ray.names, thread.is_alive()) == (["init"], True)
    connection.release()
    thread.join(20)
    assert ray.calls == [("init", thread), ("shutdown", thread)]


def test_it_is_not_waited_for_its_end_but_by_the_next(ray: NoRay) -> None:
    """To end takes seconds, which an event loop must not wait. Meanwhile Ray looks as if it was there."""
    connection = _Connection()
    connection.acquire(RayBackend())
    ray.ending = Gate()
    connection.release()
    ray.ending.wait_arrivals(1)
    again = Call(connection.acquire, RayBackend())
    former = ray.calls[0][1]
    wait_until(lambda: connection._lock.locked(), what="the next one waits")
    assert ray.names == ["init", "shutdown"]
    ray.ending.open()
    assert again.outcome(20) is True
    assert ray.names == ["init", "shutdown", "init"]
    assert not former.is_alive()
    connection.release()


def test_a_ray_that_was_there_stays(ray: NoRay) -> None:
    """It is used, whatever the address says, and not ended."""
    ray.up = True
    connection = _Connection()
    assert not connection.acquire(RayBackend())
    connection.release()
    assert ray.calls == []


def test_a_connection_by_the_ray_client(ray: NoRay, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, with the reason, and left as it is; once it is gone, a connection is made."""
    ray.up = True
    client = SimpleNamespace(is_connected=lambda: ray.up)
    monkeypatch.setitem(sys.modules, "ray.util.client", SimpleNamespace(ray=client))  # type: ignore[arg-type]
    connection = _Connection()
    with pytest.raises(ConfigError, match=r"ray\.init with a ray:// address: the Ray Client"):
        connection.acquire(RayBackend())
    assert ray.calls == []
    ray.up = False
    assert connection.acquire(RayBackend())
    connection.release()


def test_a_cluster_that_refuses(ray: NoRay) -> None:
    """The error names the address; the next try begins anew."""
    connection = _Connection()
    ray.error = ConnectionError("no such cluster")
    with pytest.raises(ResourceError, match="'auto' could not be reached: no such cluster"):
        connection.acquire(RayBackend(address="auto"))
    ray.error = None
    assert not connection.acquire(RayBackend(address="auto", namespace="mine")), "it was not started here"
    assert (ray.given[-1]["address"], ray.given[-1]["namespace"]) == ("auto", "mine")
    connection.release()


def test_an_address_at_which_nothing_listens(ray: NoRay) -> None:
    """It is asked first, since Ray would wait for minutes."""
    with pytest.raises(ResourceError, match=r"no Ray cluster answers at '127\.0\.0\.1:9'"):
        _Connection().acquire(RayBackend(address="127.0.0.1:9"))
    assert ray.calls == []
