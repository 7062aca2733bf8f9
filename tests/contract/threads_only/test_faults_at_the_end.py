"""A backend whose calls at the end raise: workers and manager end all the same."""

from __future__ import annotations

from typing import Any

import pytest

from support.observers import RecordingLogger
from support.toy_session import ToyBackend, ToySessions
from support.waiting import Call
from tasker import Config, TaskManager
from tasker.remote.threads_host import RemoteHost


@pytest.mark.parametrize("error", [OSError("broken"), SystemExit(3)], ids=repr)
def test_a_worker_whose_host_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The error is logged, the worker is reported as ended, and stop() returns."""
    real = RemoteHost.destroy

    def destroy(host: RemoteHost) -> None:
        real(host)
        raise error

    monkeypatch.setattr(RemoteHost, "destroy", destroy)
    logger = RecordingLogger()
    m = TaskManager(
        Config(
            on_create=object, worker_count=2, resource_pool_size=0, logger=logger, backend=ToyBackend(), name="broken"
        )
    )
    assert m.queue_task(lambda ctx, resource: "value") == "value"
    assert Call(m.stop).outcome(20).killed is False
    assert "the end of worker broken-1" in logger.text("error")
    assert m.stats().resources.alive == 0


def test_a_backend_that_cannot_be_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is logged, and stop() returns."""

    def release(sessions: ToySessions) -> None:
        raise OSError("broken")

    monkeypatch.setattr(ToySessions, "_release", release)
    logger = RecordingLogger()
    m = TaskManager(Config(on_create=object, worker_count=1, resource_pool_size=0, logger=logger, backend=ToyBackend()))
    assert m.queue_task(lambda ctx, resource: "value") == "value"
    assert Call(m.stop).outcome(20).killed is False
    assert "broken" in logger.text("error")
    assert m.stats().resources.alive == 0


def test_a_parent_that_cannot_be_left(threads: Any) -> None:
    """The error is logged, and stop() returns."""
    with threads.build() as m:

        def forget() -> None:
            raise OSError("no")

        m._engine.forget_parent = forget
        assert Call(m.stop).outcome(20).killed is False
        assert m.stats().user_errors == 1
