"""The system has no more threads, or no memory for one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.no_threads import ERRORS, refusing
from support.resources import ScriptedResources
from support.toy_session import ToyBackend, ToySessions
from support.waiting import Call, wait_until
from tasker import Config, TaskManager


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """See ``support.no_threads``."""
    return refusing(monkeypatch)


@ERRORS
def test_none_for_a_worker(threads: Any, refuse: Any, error: BaseException) -> None:
    """A worker without a thread is tried again later, as one without a resource."""
    refused = refuse("poor-1", error, 2)
    with threads.build(name="poor", creation_backoff=0.001) as m:
        assert m.submit(lambda ctx, resource: "value").result(20) == "value"
        assert refused == ["poor-1", "poor-1"]
        assert Call(m.stop).outcome().killed is False


@ERRORS
def test_none_for_a_worker_is_shown(threads: Any, refuse: Any, error: BaseException) -> None:
    """stats() says why there is no worker."""
    refuse("poor-1", error, 1)
    with threads.build(name="poor", creation_backoff=1000.0) as m:
        wait_until(lambda: m.stats().failing_creations == 1)
        assert type(error).__name__ in (m.stats().creation_error or "")
        Call(m.kill, 1).outcome()


@ERRORS
def test_none_for_the_supervisor(threads: Any, refuse: Any, error: BaseException) -> None:
    """A manager without a supervisor can't be made: the error is raised, and the pool of run_task is destroyed."""
    resources = ScriptedResources()
    refused = refuse("poor-supervisor", error, 1)
    with pytest.raises(type(error)):
        threads.build(name="poor", resources=resources, resource_pool_size=3)
    assert refused == ["poor-supervisor"]
    assert len(resources.created) == 3
    resources.check_all_ended_once()


@ERRORS
def test_none_for_a_refill(threads: Any, refuse: Any, error: BaseException) -> None:
    """A refill of run_task's pool that gets no thread is tried again."""
    refused = refuse("poor-refill", error, 2)

    def sick(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(
        name="poor", resource_pool_size=1, creation_backoff=0.001, check_health=lambda error: False
    ) as m:
        with pytest.raises(OSError):
            m.run_task(sick)
        wait_until(lambda: m.stats().available_resources == 1)
        assert len(refused) == 2


@ERRORS
def test_none_for_the_cancelling(threads: Any, refuse: Any, error: BaseException) -> None:
    """A kill that gets no thread to cancel contexts in does so itself."""
    refused = refuse("poor-cancel", error, 1)
    gate = threads.gate()
    with threads.build(name="poor") as m:
        future = m.submit(threads.kit.until_cancelled(gate))
        gate.wait_arrivals(1)
        report = Call(m.kill, 20).outcome()
        assert (report.killed, report.abandoned, refused) == (True, (), ["poor-cancel"])
        assert future.cancelled()


@ERRORS
def test_none_for_the_supervisor_of_sessions(
    refuse: Any, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the sessions of a manager that can't be made have in common is released, once."""
    released: list[object] = []
    monkeypatch.setattr(ToySessions, "_release", lambda self: released.append(self), raising=True)
    refuse("poor-supervisor", error, 1)
    config = Config(name="poor", on_create=object, worker_count=1, resource_pool_size=1, backend=ToyBackend())
    with pytest.raises(type(error)):
        TaskManager(config)
    assert len(released) == 1


@ERRORS
def test_none_for_callbacks(threads: Any, refuse: Any, error: BaseException) -> None:
    """A callback that gets no thread is called in the supervisor's."""
    refused = refuse("poor-callbacks", error, 1)
    names: list[str] = []

    def sick(ctx: Any, resource: Any) -> None:
        raise OSError

    def callback(value: Any, error: Any) -> None:
        names.append(threading.current_thread().name)

    with threads.build(name="poor", max_retries=0, check_health=lambda error: False) as m:
        for number in (1, 2):
            m.submit(sick, callback=callback)
            wait_until(lambda number=number: len(names) == number)
        assert Call(m.stop).outcome().killed is False
    assert refused == ["poor-callbacks"]
    assert names == ["poor-supervisor", "poor-callbacks"]


@ERRORS
def test_none_for_a_check_of_the_pool(threads: Any, refuse: Any, error: BaseException) -> None:
    """The resource stays in the pool, and is checked after the next interval."""
    refused = refuse("poor-probe", error, 2)
    checked: list[object] = []
    limits = {"resource_pool_size": 1, "check_after_idle": 60.0, "check_interval": 0.02}
    with threads.build(name="poor", worker_count=0, max_worker_count=1, check_resource=checked.append, **limits) as m:
        wait_until(lambda: len(checked) > 1)
        assert refused == ["poor-probe", "poor-probe"]
        assert (m.stats().failed_checks, m.stats().resources.created) == (0, 1)
        assert Call(m.stop).outcome().killed is False
